/** Whether chains have found the same distribution. */

const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length
const variance = (xs: readonly number[]): number => {
  const m = mean(xs)
  return xs.reduce((sum, x) => sum + (x - m) ** 2, 0) / (xs.length - 1)
}

/** The halves of each chain, so that a chain that drifts disagrees with itself. */
const halves = (chains: readonly (readonly number[])[]): readonly number[][] =>
  chains.flatMap((chain) => {
    const middle = Math.floor(chain.length / 2)
    return [chain.slice(0, middle), chain.slice(chain.length - middle)]
  })

/** Split R̂: the spread over all chains to that inside them. Gelman et al., "Bayesian Data Analysis" (2013), eq. 11.4. */
export function rHat(chains: readonly (readonly number[])[]): number {
  const parts = halves(chains)
  const n = parts[0].length
  const within = mean(parts.map(variance))
  const between = n * variance(parts.map(mean))
  return Math.sqrt((n - 1) / n + between / (n * within))
}

/**
 * How many independent draws the chains are worth: Geyer's initial positive sequence, as in Gelman
 * et al. (2013), section 11.5.
 */
export function effectiveSize(chains: readonly (readonly number[])[]): number {
  const parts = halves(chains)
  const n = parts[0].length
  const within = mean(parts.map(variance))
  const total = ((n - 1) / n) * within + variance(parts.map(mean))
  const centered = parts.map((part) => {
    const m = mean(part)
    return part.map((x) => x - m)
  })
  const correlation = (lag: number): number => {
    const covariance = mean(
      centered.map((part) => {
        let sum = 0
        for (let i = lag; i < n; i++) sum += part[i] * part[i - lag]
        return sum / n
      }),
    )
    return 1 - (within - covariance) / total
  }
  let sum = 0
  for (let lag = 1; lag + 1 < n; lag += 2) {
    const pair = correlation(lag) + correlation(lag + 1)
    if (pair < 0) break
    sum += pair
  }
  return (parts.length * n) / (1 + 2 * sum)
}

export interface Summary {
  readonly name: string
  readonly mean: number
  readonly deviation: number
  /** The middle 90 %. */
  readonly interval: readonly [low: number, high: number]
  readonly rHat: number
  readonly effectiveSize: number
}

export function summarize(name: string, chains: readonly (readonly number[])[]): Summary {
  const all = chains.flat().sort((a, b) => a - b)
  const quantile = (q: number): number => all[Math.round(q * (all.length - 1))]
  return {
    name,
    mean: mean(all),
    deviation: Math.sqrt(variance(all)),
    interval: [quantile(0.05), quantile(0.95)],
    rHat: rHat(chains),
    effectiveSize: effectiveSize(chains),
  }
}
