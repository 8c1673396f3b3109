/** Random programs that do the same to all leaves of a tree, as optimisers do. */
import fc from 'fast-check'
import type { Atom, Jaxpr, Var } from '../../jaxpr/ir'
import { Aval, type Shape, sizeOf } from '../../types/aval'
import { type Numbers, Recorder, scalar } from './recorder'

const steps = [
  'square',
  'momentum',
  'norm',
  'ratio',
  'clip',
  'rows',
  'transpose',
  'products',
  'stack',
  'keep',
] as const
type Step = (typeof steps)[number]

/** What a program is made of: small enough to be shown where a property fails. */
export interface TreePlan {
  readonly leaves: readonly Shape[]
  readonly stages: readonly Step[]
  readonly donated: readonly boolean[]
}

/** Every leaf has a gradient and a state; the results are new states and what became of the gradients. */
export function treeProgram(leaves: readonly Shape[], stages: readonly Step[]): Jaxpr {
  const r = new Recorder()
  const states: Var[] = leaves.map((shape) => r.input(shape))
  let values: Var[] = leaves.map((shape) => r.input(shape))
  const kept: Atom[] = []
  const whole = (x: Var, v: Atom): Var => r.broadcast(v, x.aval.shape, [])
  const axesOf = (x: Var): number[] => x.aval.shape.map((_, axis) => axis)
  const total = (x: Var): Var => r.reduce('sum', r.binary('mul', x, x), axesOf(x))
  const smaller = (x: Var, norm: Atom): Var =>
    r.binary('mul', x, r.unary('rsqrt', r.binary('add', whole(x, norm), whole(x, scalar(1)))))
  for (const stage of stages) {
    switch (stage) {
      case 'square':
        values = values.map((x) => r.binary('mul', x, smaller(x, scalar(3))))
        break
      case 'momentum':
        values = values.map((x, i) => {
          const next = r.binary('add', r.binary('mul', states[i], whole(x, scalar(0.5))), x)
          states[i] = next
          return next
        })
        break
      case 'norm':
        values = values.map((x) => smaller(x, total(x)))
        break
      case 'ratio':
        values = values.map((x, i) => {
          const ratio = r.binary('div', total(states[i]), r.binary('add', total(x), scalar(1)))
          return r.binary('mul', x, whole(x, ratio))
        })
        break
      case 'clip': {
        const norm = values.map(total).reduce((a, b) => r.binary('add', a, b))
        values = values.map((x) => smaller(x, norm))
        break
      }
      case 'rows':
        values = values.map((x) => {
          if (x.aval.shape.length === 0) return x
          const outer = axesOf(x).slice(0, -1)
          const mean = r.reduce('sum', x, [x.aval.shape.length - 1])
          return r.binary('sub', x, r.broadcast(mean, x.aval.shape, outer))
        })
        break
      case 'transpose':
        values = values.map((x) => {
          const [n, m] = x.aval.shape
          return n === m && n !== undefined ? r.binary('add', x, r.transpose(x, [1, 0])) : x
        })
        break
      case 'products': {
        const operands = values.map((x) => {
          const [m, n] = x.aval.shape
          return n !== undefined && m * m * n <= mostProducts ? x : null
        })
        const grams = operands.map((x) => x && r.matmul(x, r.transpose(x, [1, 0])))
        values = values.map((x, i) => {
          const gram = grams[i]
          return gram ? r.binary('mul', r.matmul(gram, x), whole(x, scalar(1 / x.aval.size))) : x
        })
        break
      }
      case 'stack':
        values = stacked(r, values)
        break
      case 'keep':
        kept.push(...values)
        break
    }
  }
  return r.jaxpr([...states, ...values, ...kept], `tree: ${stages.join()}`)
}

/** More multiplications take the interpreter too long. */
const mostProducts = 100_000

/** The same arrays as pieces of one buffer. */
function stacked(r: Recorder, values: readonly Var[]): Var[] {
  const flat = values.map((x) => new Aval([x.aval.size], x.aval.dtype))
  const starts = flat.map((_, i) => flat.slice(0, i).reduce((sum, { size }) => sum + size, 0))
  const all = new Aval([flat.reduce((sum, { size }) => sum + size, 0)], 'float32')
  const buffer = r.apply('stack', values, all, (c, ...xs) =>
    c.assemble(
      all,
      null,
      xs.map((x, i) => ({ value: c.reshape(x, flat[i]), start: [starts[i]], step: [1] })),
    ),
  )
  return values.map(({ aval }, i) =>
    r.apply('unstack', [buffer], aval, (c, x) =>
      c.reshape(c.reindex(x, flat[i], [{ offset: starts[i], strides: [1] }]), aval),
    ),
  )
}

export const treePlansOf = (size: fc.Arbitrary<number>): fc.Arbitrary<TreePlan> =>
  fc.record({
    leaves: fc.array(
      fc.oneof(
        fc.tuple(size, size),
        size.map((n) => [n, n]),
        size.map((n) => [n]),
        fc.constant([]),
      ),
      { minLength: 2, maxLength: 6 },
    ),
    stages: fc.array(fc.constantFrom(...steps), { minLength: 1, maxLength: 5 }),
    donated: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  })

export function planned({ leaves, stages, donated }: TreePlan): {
  readonly jaxpr: Jaxpr
  readonly inputs: readonly Numbers[]
  readonly donated: readonly boolean[]
} {
  const jaxpr = treeProgram(leaves, stages)
  const inputs = jaxpr.inAvals.map((aval, i) =>
    Array.from({ length: sizeOf(aval.shape) }, (_, k) => (((k * 7 + i * 3) % 9) - 4) / 4),
  )
  return { jaxpr, inputs, donated: donated.slice(0, inputs.length) }
}
