export { floatFunction, floatFunction2 } from './functions'
export { Emission, VectorGraph } from './graph'
export type { Vec } from './graph'
export { FloatLanes } from './lanes'
