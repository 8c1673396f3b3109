import type { ContractNode } from '../../../../compiler/nodes'
import { ArgumentError } from '../../../../types/errors'
import type { CodegenEnvironment } from '../../codegen/environment'
import { addressParameters, addressTypes, buffersOf } from '../../codegen/environment'
import type { FunctionBuilder, FunctionRef, ModuleBuilder } from '../../emit'
import { sizeOf } from './axes'
import { finishingKernel } from './finish'
import type { Problem } from './problem'
import { isLinear, plainStore, problemOf } from './problem'
import { emitProduct } from './product'
import { choose, chooseProblem } from './strategy'

/** The way to compute a contraction: which operand gives the rows, which axes form the batch. */
export function problemFor(node: ContractNode): Problem | null {
  const views = (folded: boolean): Problem[] =>
    [false, true].flatMap((swapped) => problemOf(node, swapped, folded) ?? [])
  const folded = views(true)
  // Fewer axes in the batch are better, unless the result is then no longer linear.
  return chooseProblem(folded.some(isLinear) ? folded : views(false)) ?? null
}

/** Whether the stores of a contraction can run on its tiles; else they must be a map of their own. */
export function canFinish(node: ContractNode): boolean {
  const problem = problemFor(node)
  return problem !== null && isLinear(problem)
}

/** One function that computes a contraction. */
export function emitContract(
  module: ModuleBuilder,
  node: ContractNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const problem = problemFor(node)
  if (problem === null) {
    throw new ArgumentError({
      op: 'contract',
      problem: 'an operand is not a plain load',
      rule: 'operands are loads of the product’s dtype at affine addresses',
      hint: 'materialize operands for which canPack is false',
    })
  }
  if (!isLinear(problem)) {
    throw new ArgumentError({
      op: 'contract',
      problem: 'a store is not linear in the rows and columns of the product',
      rule: 'the axes of m, and those of n, merge into one in every store and in what it reads',
      hint: 'write the product out and map it where canFinish is false',
    })
  }
  const buffers = buffersOf(node)
  const { a, b, batch, rows, columns } = problem
  return module.function(
    { name: env.functionName('contract'), params: addressTypes(buffers), results: [] },
    (f) => {
      if (sizeOf(batch) * rows * columns === 0) return
      const addresses = addressParameters(f, buffers)
      const addressOf = (id: number) => addresses.get(id) ?? f.param(0, 'i32')
      const plain = plainStore(problem)
      const finishing = new Map<string, FunctionRef>()
      emitProduct(
        f,
        env,
        problem,
        choose(problem, env.features.relaxed),
        { a: addressOf(a.source.id), b: addressOf(b.source.id) },
        {
          direct: plain && { address: addressOf(plain.target.id), at: plain.at },
          finishing: (tile, partial) => {
            const key = `${tile.key} ${tile.columns}`
            const known = finishing.get(key)
            if (known) return known
            const made = finishingKernel(env, buffers, problem, tile, partial)
            finishing.set(key, made)
            return made
          },
          pushAddresses: () => {
            for (const address of addresses.values()) f.get(address)
          },
        },
      )
    },
  )
}
