/** Weight files in the safetensors format. */
export { type FileTask, SafetensorsError } from './error'
export {
  type LoadIntoOptions,
  type LoadOptions,
  loadSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
} from './load'
export {
  encodeSafetensors,
  type SafetensorsTarget,
  saveSafetensors,
  type SaveOptions,
} from './save'
export type { SafetensorsSource } from './source'
