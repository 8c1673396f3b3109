/** WebGPU's flags by number: Node has no globals for them. https://www.w3.org/TR/webgpu/#typedefdef-gpubufferusageflags */
export const USAGE = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  storage: 0x80,
  indirect: 0x100,
} as const

export const MAP_READ = 0x1
/** `GPUShaderStage.COMPUTE` */
export const COMPUTE_STAGE = 0x4
