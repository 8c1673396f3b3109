import type { BinaryOp, UnaryOp } from '../../../../compiler/expr'
import type { WasmFeatures } from '../../emit'
import { ModuleBuilder } from '../../emit'
import { floatFunction, floatFunction2 } from '../functions'
import type { Vec } from '../graph'
import { Emission, VectorGraph } from '../graph'
import { nameAllFormulas } from './formulas'

/** A function over arrays of a float type: what the compiler's code computes, without the compiler. */
export interface FloatKernel {
  /** Element by element; the arguments have equal lengths. */
  (...args: readonly ArrayLike<number>[]): Float32Array | Float64Array
}

/** How many groups of four elements an iteration of the loop computes. */
export interface KernelOptions {
  readonly type: 'f32' | 'f64'
  readonly features: WasmFeatures
  readonly unroll?: number
}

const PAGE = 65536

/** One loop over memory for one function: for measurements of accuracy and speed. */
export function floatKernel(
  op: UnaryOp | BinaryOp,
  arity: 1 | 2,
  { type, features, unroll = 1 }: KernelOptions,
): FloatKernel & { readonly time: (length: number, repeats: number) => number } {
  nameAllFormulas()
  const width = type === 'f32' ? 4 : 8
  const parts = type === 'f32' ? 1 : 2
  const bytes = new ModuleBuilder()
  bytes.importMemory({ initial: 1 })
  bytes.function({ exportName: 'run', params: ['i32', 'i32', 'i32', 'i32'], results: [] }, (f) => {
    const [x, y, out, count] = [0, 1, 2, 3].map((position) => f.param(position, 'i32'))
    if (!x || !y || !out || !count) throw new Error('four parameters')
    const index = f.local('i32')
    f.forRange({ index, from: 0, to: count, step: 4 * unroll }, () => {
      const graph = new VectorGraph()
      const groups = Array.from({ length: unroll }, (_, group) => {
        const load = (address: typeof x): Vec[] =>
          Array.from({ length: parts }, (_, part) => {
            const offset = 16 * (group * parts + part)
            return graph.operation(`load ${address.index} ${offset}`, [], () =>
              f.get(address).load('v128.load', offset, 2),
            )
          })
        const results =
          arity === 1
            ? floatFunction(graph, features, op as UnaryOp, type, load(x))
            : floatFunction2(graph, features, op as BinaryOp, type, load(x), load(y))
        if (!results) throw new Error(`${op} is no function of floats`)
        return results
      })
      const emission = new Emission(f, groups.flat())
      emission.interleave(graph, groups)
      groups.flat().forEach((result, position) => {
        f.get(out)
        emission.push(result)
        f.store('v128.store', 16 * position, 2)
      })
      for (const address of [x, y, out]) f.add(address, 16 * parts * unroll)
    })
  })
  const memory = new WebAssembly.Memory({ initial: 1 })
  const module = new WebAssembly.Module(bytes.finish())
  const { run } = new WebAssembly.Instance(module, { env: { memory } }).exports
  if (typeof run !== 'function') throw new Error('the kernel has no entry')

  const places = (length: number): readonly [number, number, number, number] => {
    const padded = 4 * unroll * Math.ceil(length / (4 * unroll))
    const stride = padded * width
    const missing = Math.ceil((3 * stride) / PAGE) - memory.buffer.byteLength / PAGE
    if (missing > 0) memory.grow(missing)
    return [0, stride, 2 * stride, padded]
  }
  const view = (address: number, length: number): Float32Array | Float64Array =>
    type === 'f32'
      ? new Float32Array(memory.buffer, address, length)
      : new Float64Array(memory.buffer, address, length)
  const kernel = (...args: readonly ArrayLike<number>[]): Float32Array | Float64Array => {
    const length = args[0]?.length ?? 0
    const [x, y, out, padded] = places(length)
    args.forEach((values, position) => view([x, y][position] ?? x, length).set(values))
    run(x, y, out, padded)
    return view(out, length).slice()
  }
  return Object.assign(kernel, {
    /** Nanoseconds per element on the arguments that are in memory. */
    time: (length: number, repeats: number): number => {
      const [x, y, out, padded] = places(length)
      const start = performance.now()
      for (let repeat = 0; repeat < repeats; repeat++) run(x, y, out, padded)
      return ((performance.now() - start) * 1e6) / (padded * repeats)
    },
  })
}
