/**
 * Newton's method for logistic regression: `hessian` gives the curvature, and at the optimum its
 * inverse gives the standard errors (the Fisher information).
 *
 *   pnpm example logistic [--examples 2000] [--quick]
 */
import { linalg, np, random, type NDArray } from '@adjoint/core'
import { grad, hessian, hvp, jit } from '@adjoint/transforms'
import { flagsOf, heading, numberFlag } from '../terminal'

const flags = flagsOf({
  examples: { type: 'string', default: '2000' },
  quick: { type: 'boolean', default: false },
})
const count = flags.quick
  ? 500
  : numberFlag('examples', flags.examples, { integer: true, max: 1e6 })

const truth = np.array([1.5, -2, 0.5, 0])
const [inputKey, labelKey] = random.split(random.key(0))
const x = random.normal(inputKey, [count, 4])
const odds = np.matmul(x, truth)
const y = random.bernoulli(labelKey, np.divide(1, np.exp(odds.neg()).add(1))).astype('float32')

/** The negative log-likelihood. */
function loss(w: NDArray): NDArray {
  const z = np.matmul(x, w)
  return np.sum(np.logaddexp(0, z).sub(y.mul(z)))
}

const curvature = jit(hessian(loss))
const slope = jit(grad(loss))

/** H⁻¹ b by Cholesky, since the Hessian of a convex function is positive definite. */
const solve = jit((h: NDArray, b: NDArray) => linalg.choSolve(linalg.choFactor(h), b))

heading(`Newton's method on ${count} examples`)
let w = np.zeros([4])
for (let i = 0; i < 8; i++) {
  const g = slope(w)
  const norm = Number(np.sqrt(np.sum(np.square(g))))
  console.log(`  step ${i}: loss ${Number(loss(w)).toFixed(4)}, gradient ${norm.toExponential(2)}`)
  if (norm < 1e-3) break
  w = w.sub(solve(curvature(w), g))
}

heading('the Hessian, and its product with a vector')
console.log(String(curvature(w)))
const v = np.array([1, 0, -1, 0.5])
const [product] = hvp(loss, [w], [v])
const difference = np.max(np.abs(product.sub(np.matmul(curvature(w), v))))
const relative = Number(difference) / Number(np.max(np.abs(product)))
console.log(
  `hvp, without forming the matrix, differs by ${relative.toExponential(1)} of its largest element`,
)

heading('estimates with standard errors')
const covariance = solve(curvature(w), np.eye(4))
const errors = np.sqrt(np.diagonal(covariance)).toArray() as number[]
const [estimates, true_] = [w.toArray() as number[], truth.toArray() as number[]]
estimates.forEach((estimate, i) => {
  const off = Math.abs(estimate - true_[i]) / errors[i]
  console.log(
    `  w${i} = ${estimate.toFixed(3).padStart(6)} ± ${errors[i].toFixed(3)}   truth ${true_[i].toFixed(1).padStart(4)}, ${off.toFixed(1)} standard errors away`,
  )
})
