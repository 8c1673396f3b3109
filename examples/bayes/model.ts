/**
 * A regression in groups: each president has an intercept and a slope of his own, and learns about
 * both from the others. With a sentence's words w, the years t since the president's first address,
 * and the centuries c from 1900 to that one:
 *
 *   log w ~ N(alpha + beta t, sigma)     for each address
 *   alpha = level + trend c + tauAlpha u
 *   beta  = slope + tauBeta (rho u + √(1 − rho²) v)     u, v ~ N(0, 1) for each president
 *
 * Gelman & Hill, "Data Analysis Using Regression and Multilevel/Hierarchical Models" (2007), chapter 13.
 */
import { np, type NDArray } from '@adjoint/core'
import type { Speeches } from './speeches'

/** The scale on which years are counted: slopes are per decade. */
const decade = 10
const century = 100

/** Where level, trend, slope, the logarithms of tauAlpha, tauBeta and sigma, and atanh rho may be. */
const centers = np.array([3.3, -0.4, 0, -2.3, -2.5, -2.4, 0])
const scales = np.array([0.02, 0.03, 0.03, 0.15, 0.5, 0.05, 0.4])

/**
 * The parameters, from numbers of about the same scale. Presidents are in units of the spread between
 * them: without that the posterior is a funnel, narrow where a spread is small. Betancourt & Girolami,
 * "Hamiltonian Monte Carlo for Hierarchical Models" (2015).
 */
export function regression({ presidents, firstYears, speaker, ...addresses }: Speeches) {
  const groups = presidents.length
  const centuries = np.array(firstYears.map((year) => (year - 1900) / century))
  const decades = np.array(addresses.yearsSince.map((years) => years / decade))
  const response = np.array(addresses.wordsPerSentence.map(Math.log))
  const group = np.array(Int32Array.from(speaker))
  const count = speaker.length

  function parametersOf(position: NDArray) {
    const shared = np.add(centers, np.multiply(scales, position.get(':7')))
    const [level, trend, slope] = [0, 1, 2].map((i) => shared.get(i))
    const [tauAlpha, tauBeta, sigma] = [3, 4, 5].map((i) => np.exp(shared.get(i)))
    const rho = np.tanh(shared.get(6))
    const u = position.get(`7:${7 + groups}`)
    const v = position.get(`${7 + groups}:`)
    const other = np.sqrt(np.subtract(1, np.square(rho)))
    return {
      level,
      trend,
      slope,
      tauAlpha,
      tauBeta,
      sigma,
      rho,
      alpha: level.add(trend.mul(centuries)).add(tauAlpha.mul(u)),
      beta: slope.add(tauBeta.mul(rho.mul(u).add(other.mul(v)))),
    }
  }

  /** The logarithm of the posterior's density, up to a constant. */
  function logDensity(position: NDArray): NDArray {
    const p = parametersOf(position)
    const normal = (x: NDArray, mean: number, deviation: number): NDArray =>
      np.sum(np.square(x.sub(mean).div(deviation))).mul(-0.5)
    // level ~ N(3, 1), trend and slope ~ N(0, 1); spreads ~ half-normal(0.5), and the change of
    // variables to their logarithms.
    const fixed = normal(p.level, 3, 1)
      .add(normal(p.trend, 0, 1))
      .add(normal(p.slope, 0, 1))
    const spreads = normal(np.stack([p.tauAlpha, p.tauBeta, p.sigma]), 0, 0.5).add(
      np.sum(np.multiply(scales.get('3:6'), position.get('3:6'))),
    )
    // rho ~ LKJ(2), (1 − rho²) in two dimensions, and as much for the change of variables.
    const correlation = np.log1p(np.negative(np.square(p.rho))).mul(2)
    const between = normal(position.get('7:'), 0, 1)
    const expected = np.take(p.alpha, group).add(np.take(p.beta, group).mul(decades))
    const likelihood = np
      .sum(np.square(response.sub(expected).div(p.sigma)))
      .mul(-0.5)
      .sub(np.log(p.sigma).mul(count))
    return fixed.add(spreads).add(correlation).add(between).add(likelihood)
  }

  return { size: 7 + 2 * groups, parametersOf, logDensity }
}
