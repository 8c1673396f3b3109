/** Running a jaxpr on host arrays: the meaning of every program, and how this device runs it. */
export { evaluateOnHost } from '../../jaxpr/evaluate-on-host'
