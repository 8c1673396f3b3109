/**
 * Measures contractions against the peak of fused multiply-adds on registers alone.
 * Run it in a bundle or through a loader: it prints a table.
 */
import type { Affine, Scalar } from '../../../../compiler/expr'
import { binary, constant } from '../../../../compiler/expr'
import type { ContractNode } from '../../../../compiler/nodes'
import type { Shape } from '../../../../types/aval'
import { ModuleBuilder, wasmFeatures } from '../../emit/index'
import { compileNode, newBuffer } from '../run-node'
import { sizeOf } from './axes'
import { emitContract } from './contract'

/** Twelve independent chains of multiply-adds that never touch memory, in GFLOP/s. */
export function registerPeak(): number {
  const chains = 12
  const steps = 4
  const { relaxed } = wasmFeatures()
  const module = new ModuleBuilder()
  module.importMemory({ initial: 1 })
  module.function({ exportName: 'run', params: ['i32'], results: [] }, (f) => {
    const count = f.param(0, 'i32')
    const sums = Array.from({ length: chains }, () => f.local('v128'))
    const x = f.local('v128')
    const y = f.local('v128')
    f.f32x4Const(0.999).set(x).f32x4Const(0.001).set(y)
    f.loop((again) => {
      for (let step = 0; step < steps; step++) {
        for (const sum of sums) {
          if (relaxed) f.get(sum).get(x).get(y).op('f32x4.relaxed_madd').set(sum)
          else f.get(sum).get(x).op('f32x4.mul').get(y).op('f32x4.add').set(sum)
        }
      }
      f.get(count).i32Const(1).op('i32.sub').tee(count).brIf(again)
    })
    sums.forEach((sum, i) =>
      f
        .i32Const(16 * i)
        .get(sum)
        .store('v128.store'),
    )
  })
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    env: { memory },
  }).exports
  if (typeof run !== 'function') throw new Error('the module exports no function')
  const count = 100_000
  return (count * steps * chains * 8) / bestTime(() => void run(count), 20) / 1e6
}

/** The best of several runs, in milliseconds, after a warm-up. */
function bestTime(run: () => void, runs: number): number {
  const warm = performance.now()
  do run()
  while (performance.now() - warm < 150)
  let best = Infinity
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

interface Product {
  readonly name: string
  readonly batch?: Shape
  readonly m: Shape
  readonly n: Shape
  readonly k: Shape
  readonly lhs: readonly number[]
  readonly rhs: readonly number[]
  /** Row-major unless given. */
  readonly out?: readonly number[]
  /** What is stored of a sum: itself unless given. */
  readonly epilogue?: Epilogue
}

/** The gradient of the weights of `convolution`: the sum goes over the pixels. */
export function weightGradient(
  images: number,
  size: number,
  input: number,
  outputs: number,
): Product {
  const padded = size + 2
  const pixel = [padded * padded * input, padded * input, input]
  return {
    name: `weight gradient ${images}×${size}×${size}×${input}→${outputs}`,
    m: [3, 3, input],
    n: [outputs],
    k: [images, size, size],
    lhs: [padded * input, input, 1, ...pixel],
    rhs: [1, size * size * outputs, size * outputs, outputs],
  }
}

export const batched = (batch: number, m: number, n: number, k: number, tB = false): Product => ({
  name: `${batch} of ${m} × ${n} × ${k}${tB ? ' Bᵀ' : ''}`,
  batch: [batch],
  m: [m],
  n: [n],
  k: [k],
  lhs: [m * k, k, 1],
  rhs: tB ? [n * k, k, 1] : [n * k, 1, n],
})

type Epilogue = (sum: Scalar, shape: Shape) => Scalar

const load = (size: number, strides: readonly number[]): Scalar => ({
  kind: 'load',
  dtype: 'float32',
  source: newBuffer('float32', size),
  at: { offset: 0, strides },
  offsets: [],
})

/** max(sum + bias, 0), a bias for every column. */
const biasAndRelu: Epilogue = (sum, shape) => {
  const bias = load(shape.at(-1) ?? 1, [...shape.slice(1).map(() => 0), 1])
  return binary('max', 'float32', binary('add', 'float32', sum, bias), constant('float32', 0))
}

/** weight − rate · sum */
const gradientStep: Epilogue = (sum, shape) => {
  const step = binary('mul', 'float32', sum, constant('float32', 0.05))
  return binary('sub', 'float32', load(sizeOf(shape), rowMajor(shape)), step)
}

const rowMajor = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))

const reach = (shape: Shape, strides: readonly number[]): number =>
  shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 1)

export const matmul = (m: number, n: number, k: number, tA = false, tB = false): Product => ({
  name: `${m} × ${n} × ${k}${tA ? ' Aᵀ' : ''}${tB ? ' Bᵀ' : ''}`,
  m: [m],
  n: [n],
  k: [k],
  lhs: tA ? [1, m] : [k, 1],
  rhs: tB ? [k, 1] : [1, n],
})

/** A 3×3 convolution over a padded NHWC input, weights HWIO, summed over channel and window. */
export function convolution(images: number, size: number, input: number, outputs: number): Product {
  const padded = size + 2
  const pixel = [padded * padded * input, padded * input, input]
  return {
    name: `conv 3×3 ${images}×${size}×${size}×${input}→${outputs}`,
    m: [images, size, size],
    n: [outputs],
    k: [input, 3, 3],
    lhs: [...pixel, 1, padded * input, input],
    rhs: [1, outputs, 3 * input * outputs, input * outputs],
  }
}

/** The same over an NCHW input, with weights OIHW. */
export function channelsFirst(
  images: number,
  size: number,
  input: number,
  outputs: number,
): Product {
  const padded = size + 2
  const plane = padded * padded
  return {
    name: `NCHW 3×3 ${images}×${input}×${size}×${size}→${outputs}`,
    m: [images, size, size],
    n: [outputs],
    k: [input, 3, 3],
    lhs: [input * plane, padded, 1, plane, padded, 1],
    rhs: [9 * input, 9, 3, 1],
    out: [outputs * size * size, size, 1, size * size],
  }
}

function measure(
  { name, batch = [], m, n, k, lhs, rhs, out, epilogue = (sum) => sum }: Product,
  peak: number,
): string {
  const operand = (free: Shape, strides: readonly number[]): ContractNode['lhs'] => {
    const at: Affine = { offset: 0, strides }
    const source = newBuffer('float32', reach([...batch, ...free, ...k], strides))
    return { value: { kind: 'load', dtype: 'float32', source, at, offsets: [] } }
  }
  const shape = [...batch, ...m, ...n]
  const target = newBuffer('float32', sizeOf(shape))
  const node: ContractNode = {
    kind: 'contract',
    dtype: 'float32',
    batch,
    m,
    n,
    k,
    lhs: operand(m, lhs),
    rhs: operand(n, rhs),
    stores: [
      {
        target,
        at: { offset: 0, strides: out ?? rowMajor(shape) },
        offsets: [],
        value: epilogue({ kind: 'accumulator', dtype: 'float32', slot: 0 }, shape),
      },
    ],
  }
  const compiled = compileNode(emitContract, node)
  for (const { value } of [node.lhs, node.rhs]) {
    if (value.kind !== 'load') continue
    const data = compiled.data(value.source)
    for (let i = 0; i < data.length; i++) data[i] = Math.random() - 0.5
  }
  const flops = 2 * sizeOf(shape) * sizeOf(k)
  const time = bestTime(compiled.run, Math.min(60, Math.max(8, Math.ceil(3e9 / flops))))
  const rate = flops / time / 1e6
  return `${name.padEnd(34)} ${time.toFixed(3).padStart(9)} ms ${rate.toFixed(1).padStart(6)} GFLOP/s ${((100 * rate) / peak).toFixed(0).padStart(4)}%`
}

export function reportOf(products: readonly Product[]): string {
  const peak = registerPeak()
  return [
    `register peak ${peak.toFixed(1)} GFLOP/s`,
    ...products.map((product) => measure(product, peak)),
  ].join('\n')
}

export const report = (): string =>
  reportOf([
    ...[64, 128, 256, 512, 1024].map((size) => matmul(size, size, size)),
    matmul(512, 512, 512, true),
    matmul(512, 512, 512, false, true),
    matmul(250, 250, 250),
    matmul(32, 32, 32),
    matmul(8, 8, 8),
    matmul(1, 2048, 2048),
    matmul(2048, 1, 2048),
    matmul(1, 2048, 2048, false, true),
    matmul(2, 1024, 1024),
    matmul(3, 1024, 1024),
    matmul(4, 1024, 1024),
    matmul(8, 1024, 1024),
    matmul(12, 1024, 1024),
    matmul(16, 1024, 1024),
    matmul(16, 1024, 1024, false, true),
    matmul(1024, 4, 1024),
    matmul(1024, 10, 256),
    matmul(128, 512, 784),
    matmul(128, 256, 512),
    matmul(784, 512, 128, true),
    matmul(512, 256, 128, true),
    matmul(128, 512, 256, false, true),
    { ...matmul(128, 512, 784), name: 'bias and relu of 128 × 512 × 784', epilogue: biasAndRelu },
    { ...matmul(128, 256, 512), name: 'bias and relu of 128 × 256 × 512', epilogue: biasAndRelu },
    {
      ...matmul(784, 512, 128, true),
      name: 'gradient step 784 × 512 × 128',
      epilogue: gradientStep,
    },
    { ...matmul(64, 64, 64), name: 'bias and relu of 64 × 64 × 64', epilogue: biasAndRelu },
    { ...matmul(64, 64, 16), name: 'bias and relu of 64 × 64 × 16', epilogue: biasAndRelu },
    {
      ...convolution(64, 32, 16, 32),
      name: 'bias and relu of a convolution',
      epilogue: biasAndRelu,
    },
    convolution(64, 32, 16, 32),
    convolution(32, 28, 8, 16),
    channelsFirst(64, 32, 16, 32),
    channelsFirst(32, 28, 1, 8),
    weightGradient(64, 32, 16, 32),
    batched(1000, 8, 8, 8),
    batched(1000, 3, 3, 3),
    batched(64, 64, 64, 64),
    batched(16, 128, 128, 64, true),
    batched(16, 128, 64, 128),
  ])
