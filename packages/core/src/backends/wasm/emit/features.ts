import { v128 } from './constants'
import { ModuleBuilder } from './module'

/** What the engine can do beyond WebAssembly 2.0, as far as generated code cares. */
export interface WasmFeatures {
  /** Relaxed SIMD is there and its multiply-add rounds once. */
  readonly relaxed: boolean
}

let detected: WasmFeatures | undefined
let forced: Partial<WasmFeatures> = {}

/** The features to generate code for: those of this engine, less what `forceFeatures` turned off. */
export function wasmFeatures(): WasmFeatures {
  detected ??= { relaxed: multiplyAddRoundsOnce() }
  return { ...detected, ...forced }
}

/** Overrides the detection, to test the code for other engines; `{}` returns to what was found. */
export function forceFeatures(features: Partial<WasmFeatures>): void {
  forced = features
}

/**
 * Runs `relaxed_madd(a, a, -1 - 2⁻¹¹)` for a = 1 + 2⁻¹², whose exact value 2⁻²⁴ is lost when the product is
 * rounded first. The relaxed specification allows both; where the product is rounded there is
 * nothing to gain from it.
 */
function multiplyAddRoundsOnce(): boolean {
  const module = new ModuleBuilder()
  module.function({ exportName: 'probe', params: ['f32'], results: ['f32'] }, (f) => {
    const a = f.local('v128')
    f.get(f.param(0, 'f32')).op('f32x4.splat').tee(a).get(a)
    f.v128Const(v128.f32x4(-1 - 2 ** -11))
      .op('f32x4.relaxed_madd')
      .lane('f32x4.extract_lane', 0)
  })
  const bytes = module.finish()
  if (!WebAssembly.validate(bytes)) return false
  const { probe } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
  return typeof probe === 'function' && probe(1 + 2 ** -12) === 2 ** -24
}
