/** The WebGPU device, imported by `await setDevice('webgpu')` and not before. */
export { createWebGpuBackend, WebGpuBackend, type WebGpuBackendOptions } from './backend'
