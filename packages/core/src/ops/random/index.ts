/** The `random` namespace: JAX's generator and samplers. */
export { clone, foldIn, type Key, key, keyData, PRNGKey, split, wrapKeyData } from './keys'
export { bits, randint, type SampleOptions, uniform, type UniformOptions } from './uniform'
export {
  bernoulli,
  categorical,
  type CategoricalOptions,
  cauchy,
  exponential,
  geometric,
  gumbel,
  laplace,
  logistic,
  maxwell,
  multivariateNormal,
  normal,
  pareto,
  rademacher,
  rayleigh,
  triangular,
  truncatedNormal,
  weibullMin,
} from './distributions'
export { choice, type ChoiceOptions, permutation, type PermutationOptions } from './sampling'
