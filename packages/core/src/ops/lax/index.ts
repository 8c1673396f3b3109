/** The `lax` namespace: the primitives as functions. */
export * from './elementwise'
export * from './structural'
export * from './indexing'
export * from './windows'
export { cholesky, triangularSolve } from '../linalg'
