/** Every strategy of the contraction kernels on products of given sizes; `tune.ts` starts it. */
import { type Buffer, load, type Scalar } from '../packages/core/src/compiler/expr'
import type { ContractNode } from '../packages/core/src/compiler/nodes'
import { rowMajor } from '../packages/core/src/compiler/views'
import { requestAdapter } from '../packages/core/src/backends/webgpu/adapter'
import { GpuRuntime } from '../packages/core/src/backends/webgpu/device'
import {
  type DeviceFacts,
  type Dispatch,
  KernelSpace,
} from '../packages/core/src/backends/webgpu/kernel'
import { contractWith } from '../packages/core/src/backends/webgpu/kernels/contract'
import { problemOf } from '../packages/core/src/backends/webgpu/kernels/contract/problem'
import {
  choose,
  type Strategy,
} from '../packages/core/src/backends/webgpu/kernels/contract/strategy'
import { numbers } from './numbers'

const SAMPLES = 5
const SAMPLE_MILLISECONDS = 50
/** Relative to the root of the length of the sums. */
const TOLERANCE = 1e-5

// --- products ----------------------------------------------------------------------------------------

interface Sizes {
  readonly rows: number
  readonly columns: number
  readonly depth: number
}

/** How the operands lie in memory: as in x y, in xᵀ y and in x yᵀ, the products of a gradient. */
const layouts = ['nn', 'tn', 'nt'] as const
type Layout = (typeof layouts)[number]

/** The node of a product, whose buffers are numbered from 0. */
function productNode({ rows, columns, depth }: Sizes, layout: Layout): ContractNode {
  const buffer = (id: number, size: number): Buffer => ({ id, dtype: 'float32', size })
  const sum: Scalar = { kind: 'accumulator', dtype: 'float32', slot: 0 }
  return {
    kind: 'contract',
    dtype: 'float32',
    batch: [],
    m: [rows],
    n: [columns],
    k: [depth],
    lhs: {
      value: load(buffer(0, rows * depth), {
        offset: 0,
        strides: layout === 'tn' ? [1, rows] : [depth, 1],
      }),
    },
    rhs: {
      value: load(buffer(1, columns * depth), {
        offset: 0,
        strides: layout === 'nt' ? [depth, 1] : [1, columns],
      }),
    },
    stores: [
      {
        target: buffer(2, rows * columns),
        at: rowMajor([rows, columns]),
        offsets: [],
        value: sum,
      },
    ],
  }
}

// --- what there is to try ------------------------------------------------------------------------------

/** Whether a workgroup of the tile fits: its invocations, and blocks of vectors of both operands. */
function tileFits(
  tile: number,
  registers: number,
  { invocations, workgroupBytes }: DeviceFacts,
): boolean {
  const side = tile / registers
  return side ** 2 <= invocations && 2 * side * (tile / 4 + 1) * 16 <= workgroupBytes
}

function strategiesFor({ rows, columns, depth }: Sizes, facts: DeviceFacts): readonly Strategy[] {
  const splits = [1, 2, 4, 8, 16, 32].filter((parts) => parts === 1 || depth / parts >= 64)
  const isSmall = rows * columns * depth <= 2 ** 28
  return [
    ...([16, 32, 64, 128] as const).flatMap((tile) =>
      ([4, 8] as const)
        .filter((registers) => tileFits(tile, registers, facts))
        .flatMap((registers) =>
          splits.map((parts) => ({ kind: 'tiled', tile, registers, splits: parts }) as const),
        ),
    ),
    { kind: 'registers', splits: 1 },
    ...(isSmall
      ? ([
          { kind: 'each', splits: 1 },
          { kind: 'dots', splits: 1 },
        ] as const)
      : []),
  ]
}

const named = (strategy: Strategy): string =>
  [
    strategy.kind,
    ...(strategy.kind === 'tiled'
      ? [strategy.tile, `by ${strategy.registers}×${strategy.registers}`]
      : []),
    ...(strategy.splits > 1 ? [`in ${strategy.splits} parts`] : []),
  ].join(' ')

// --- measuring -----------------------------------------------------------------------------------------

interface Prepared {
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly workgroups: Dispatch['workgroups']
}

async function prepare(
  runtime: GpuRuntime,
  dispatch: Dispatch,
  memory: readonly GPUBuffer[],
  arena: GPUBuffer,
): Promise<Prepared> {
  const pipeline = runtime.pipeline(dispatch)
  await pipeline.ready
  await pipeline.outcome.check()
  if (pipeline.compiled === null) throw new Error('a kernel that is ready is compiled')
  const group = runtime.device.createBindGroup({
    layout: pipeline.layout,
    entries: dispatch.bindings.map(({ resource, offset, words }, binding) => {
      const buffer = typeof resource === 'number' ? memory[resource] : arena
      const size = Math.max(16, Math.ceil(words / 4) * 16)
      return { binding, resource: { buffer, offset: 4 * offset, size } }
    }),
  })
  return { pipeline: pipeline.compiled, group, workgroups: dispatch.workgroups }
}

/** Milliseconds of so many runs, the waiting for the last included. */
async function timeOf(
  runtime: GpuRuntime,
  prepared: readonly Prepared[],
  runs: number,
  result: GPUBuffer,
): Promise<number> {
  const started = performance.now()
  const encoder = runtime.device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  for (let i = 0; i < runs; i++) {
    for (const { pipeline, group, workgroups } of prepared) {
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(...workgroups)
    }
  }
  pass.end()
  runtime.submit(encoder)
  await runtime.read(result, 1)
  return performance.now() - started
}

/** Milliseconds of one run: the best sample, since nothing makes a kernel faster than it is. */
async function bestOf(
  runtime: GpuRuntime,
  prepared: readonly Prepared[],
  result: GPUBuffer,
): Promise<number> {
  let runs = 1
  let time = await timeOf(runtime, prepared, runs, result)
  while (time < SAMPLE_MILLISECONDS && runs < 4096) {
    runs *= 2
    time = await timeOf(runtime, prepared, runs, result)
  }
  let best = time
  for (let i = 1; i < SAMPLES; i++) {
    best = Math.min(best, await timeOf(runtime, prepared, runs, result))
  }
  return best / runs
}

/** The first elements of the result. */
async function elementsOf(
  runtime: GpuRuntime,
  result: GPUBuffer,
  size: number,
): Promise<Float32Array> {
  return new Float32Array((await runtime.read(result, Math.min(size, 256))).buffer)
}

function requireSame(
  actual: Float32Array,
  expected: Float32Array,
  depth: number,
  what: string,
): void {
  const worst = expected.reduce((m, x, i) => Math.max(m, Math.abs(x - actual[i])), 0)
  if (worst <= TOLERANCE * Math.sqrt(depth)) return
  throw new Error(`${what} computes something else: results differ by ${worst}`)
}

async function tune(runtime: GpuRuntime, sizes: Sizes, layout: Layout): Promise<void> {
  const { rows, columns, depth } = sizes
  const node = productNode(sizes, layout)
  const { device, facts } = runtime
  const lengths = [rows * depth, columns * depth, rows * columns]
  const blocks = lengths.map((n) => runtime.pool.acquire(4 * n, `${n} numbers`, 'tune'))
  const memory = blocks.map(({ buffer }) => buffer)
  memory.slice(0, 2).forEach((buffer, i) => {
    device.queue.writeBuffer(buffer, 0, numbers(lengths[i], 1, i + 1))
  })
  const [, , result] = memory
  const chosen = named(choose(problemOf(node), facts))
  const candidates = strategiesFor(sizes, facts)
  const measured: { name: string; rate: number }[] = []
  let expected: Float32Array | null = null
  for (const strategy of candidates) {
    const name = named(strategy)
    const space = new KernelSpace(
      facts,
      ({ id, size }) => ({ resource: id, offset: 0, words: size, form: 'words', base: [] }),
      0,
    )
    const dispatches = contractWith(node, space, strategy)
    const scratch = runtime.pool.acquire(4 * Math.max(4, space.scratchEnd), 'scratch', 'tune')
    const prepared: Prepared[] = []
    for (const dispatch of dispatches) {
      prepared.push(await prepare(runtime, dispatch, memory, scratch.buffer))
    }
    const time = await bestOf(runtime, prepared, result)
    const elements = await elementsOf(runtime, result, rows * columns)
    expected ??= elements
    requireSame(elements, expected, depth, `${name} of ${rows}×${columns}×${depth} ${layout}`)
    measured.push({ name, rate: (2 * rows * columns * depth) / time / 1e6 })
    runtime.release(scratch)
  }
  for (const block of blocks) runtime.release(block)
  console.log(`\n${rows}×${columns}×${depth} ${layout}`)
  for (const { name, rate } of measured.toSorted((a, b) => b.rate - a.rate)) {
    const mark = name === chosen ? '*' : ' '
    console.log(`  ${mark} ${name.padEnd(22)}${rate.toFixed(1).padStart(10)}`)
  }
  if (!measured.some(({ name }) => name === chosen)) console.log(`  * ${chosen} was not tried`)
}

const runtime = await GpuRuntime.open(await requestAdapter('tune'), {}, () => undefined)
for (const size of (process.argv[2] ?? '').split(',')) {
  const [rows = 0, columns = 0, depth = 0] = size.split('x').map(Number)
  for (const layout of layouts) await tune(runtime, { rows, columns, depth }, layout)
}
process.exit()
