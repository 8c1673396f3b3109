/** Programs for tests: recorded by hand or random, and ways to run them without a backend. */
export { type Numbers, Recorder, runPlanned, runSeparately, scalar } from './recorder'
export { randomPrograms, randomProgramsOfAnyDType } from './random-programs'
