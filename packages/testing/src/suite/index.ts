/** The project's own programs, for its tests and for its report. */
export { primitiveCases } from './primitives'
export { suitePrograms, type SuiteProgram } from './programs'
