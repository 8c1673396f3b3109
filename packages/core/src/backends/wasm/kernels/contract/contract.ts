import type { ContractNode } from '../../../../compiler/nodes'
import { bytesOf } from '../../../../types/dtype'
import type { CodegenEnvironment } from '../../codegen/environment'
import { addressParameters, addressTypes, buffersOf } from '../../codegen/environment'
import { emitMap } from '../../codegen/map'
import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder } from '../../emit'
import { sizeOf } from './axes'
import { finishingKernel } from './finish'
import { isOwnTranspose } from './own-transpose'
import type { Problem } from './problem'
import { arrangementsOf, isLinear, plainStore, problemOf } from './problem'
import { emitProduct } from './product'
import { stage } from './staging'
import { choose, chooseProblem } from './strategy'

/** Products smaller than this are not worth their loops: one large product is mapped afterwards. */
const SMALLEST_TILE = 64

/** The way to compute a contraction: which axes form the batch, which operand gives the rows. */
export function problemFor(node: ContractNode): Problem | null {
  const arrangements = arrangementsOf(node)
  const views = arrangements.map((arrangement) =>
    [false, true].flatMap((swapped) => problemOf(node, arrangement, swapped) ?? []),
  )
  const [largest = []] = views
  const linear = views.find(
    ([problem]) =>
      problem &&
      isLinear(problem) &&
      (problem === largest[0] || problem.rows * problem.columns >= SMALLEST_TILE),
  )
  return chooseProblem(linear ?? largest) ?? null
}

/** One function that computes a contraction. */
export function emitContract(
  module: ModuleBuilder,
  node: ContractNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const plain = stage(node, true)
  const problem = problemFor(plain.product)
  if (isOwnTranspose(node)) return emitStaged(module, node, env, stage(node, false, true), true)
  if (problem && isLinear(problem) && plain.staged.length === 0) {
    return emitPlainContract(module, node, problem, env)
  }
  return emitStaged(module, node, env, stage(node, problem !== null && isLinear(problem)))
}

/** Maps before and after the product, with their results in working memory behind the product's. */
function emitStaged(
  module: ModuleBuilder,
  node: ContractNode,
  env: CodegenEnvironment,
  { before, product, after, staged }: ReturnType<typeof stage>,
  aboveDiagonal = false,
): FunctionBuilder {
  // Where threads share the work, so they do what one step leaves for the next.
  let used = 0
  const { threads } = env
  const counting: CodegenEnvironment = {
    ...env,
    module,
    functionName: (kind) => env.functionName(kind),
    scratch: (bytes) => {
      if (threads === null) used = Math.max(used, bytes)
      return env.scratch(bytes)
    },
    threads: threads && {
      expected: threads.expected,
      share: (f, total, step) => threads.share(f, total, step),
      shareOfTriangle: (f, total) => threads.shareOfTriangle(f, total),
      alone: (f, body) => threads.alone(f, body),
      barrier: (f) => threads.barrier(f),
      beat: (f) => threads.beat(f),
      commonScratch: (bytes) => {
        used = Math.max(used, bytes)
        return threads.commonScratch(bytes)
      },
    },
  }
  const problem = problemFor(product)
  if (problem === null) throw new Error('a staged contraction reads its operands plainly')
  const steps = [
    ...before.map((map) => ({ map, f: emitMap(module, map, counting) })),
    { map: product, f: emitPlainContract(module, product, problem, counting, aboveDiagonal) },
    ...(after ? [{ map: after, f: emitMap(module, after, counting) }] : []),
  ]
  const places = new Map<number, number>()
  for (const { id, dtype, size } of staged) {
    used = Math.ceil(used / 64) * 64
    places.set(id, used)
    used += size * bytesOf(dtype) + 64
  }
  const buffers = buffersOf(node)
  return module.function(
    { name: env.functionName('contract'), params: addressTypes(buffers), results: [] },
    (f) => {
      const addresses = new Map<number, Local<'i32'>>(addressParameters(f, buffers))
      const scratch = threads ? threads.commonScratch(used) : env.scratch(used)
      for (const [id, place] of places) {
        const address = f.local('i32')
        f.globalGet(scratch).i32Const(place).op('i32.add').set(address)
        addresses.set(id, address)
      }
      for (const step of steps) {
        // What the step before wrote is read; before the first, memory may still be in use.
        threads?.barrier(f)
        for (const { id } of buffersOf(step.map)) {
          const address = addresses.get(id)
          if (!address) throw new Error(`${f.name}: buffer ${id} has no address`)
          f.get(address)
        }
        f.call(step.f)
      }
    },
  )
}

function emitPlainContract(
  module: ModuleBuilder,
  node: ContractNode,
  problem: Problem,
  env: CodegenEnvironment,
  aboveDiagonal = false,
): FunctionBuilder {
  const buffers = buffersOf(node)
  const { a, b, batch, rows, columns } = problem
  return module.function(
    { name: env.functionName('contract'), params: addressTypes(buffers), results: [] },
    (f) => {
      if (sizeOf(batch) * rows * columns === 0) return
      const addresses = addressParameters(f, buffers)
      const addressOf = (id: number): Local<'i32'> => {
        const address = addresses.get(id)
        if (!address) throw new Error(`${f.name}: buffer ${id} has no address`)
        return address
      }
      const plain = plainStore(problem)
      const finishing = new Map<number, FunctionRef>()
      emitProduct(
        f,
        env,
        problem,
        choose(problem, env.features.relaxed),
        { a: addressOf(a.source.id), b: addressOf(b.source.id) },
        {
          direct: plain && { address: addressOf(plain.target.id), at: plain.at },
          finishing: (columns) => {
            const known = finishing.get(columns)
            if (known) return known
            const made = finishingKernel(env, buffers, problem, columns)
            finishing.set(columns, made)
            return made
          },
          pushAddresses: () => {
            for (const address of addresses.values()) f.get(address)
          },
          aboveDiagonal,
        },
      )
    },
  )
}
