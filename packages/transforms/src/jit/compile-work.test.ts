/**
 * Law: tracing and compiling are linear in the length of a function. What is counted are calls and
 * turns of loops in all of the sources, as the engine counts them for coverage; so the law needs no
 * clock, and holds every part of the compiler to it.
 */
import { Session } from 'node:inspector'
import type { NDArray } from '@adjoint/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[]
  }[]
}

// Blocks are counted in code that is compiled after counting begins, so the sources come later.
const session = new Session()
const load = async () => ({
  ...(await import('@adjoint/core')),
  ...(await import('../index')),
})
let library: Awaited<ReturnType<typeof load>>

beforeAll(async () => {
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  library = await load()
})
afterAll(() => session.disconnect())

/** How often functions and blocks of the packages' sources ran since the last time. */
function workSoFar(): number {
  let work = 0
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    for (const { url, functions } of (coverage as Coverage).result) {
      if (!url.includes('/packages/')) continue
      for (const { ranges } of functions) for (const { count } of ranges) work += count
    }
  })
  return work
}

/** Compile functions as long as asked for. */
const programs: Readonly<Record<string, (length: number) => void>> = {
  'a chain of operations': (length) => {
    const { jit, np } = library
    const f = jit((x: NDArray): NDArray => {
      let y = x
      for (let i = 0; i < length; i++) y = np.multiply(np.sin(y), 1 + i / length)
      return y
    })
    f.lower(np.ones([1024])).compile()
  },
  'the gradient of an unrolled loop': (length) => {
    const { grad, jit, np } = library
    const loss = (w: NDArray, x: NDArray): NDArray => {
      let h = x
      for (let i = 0; i < length; i++) h = np.tanh(np.add(np.matmul(h, w), x))
      return np.sum(h)
    }
    jit(grad(loss))
      .lower(np.ones([8, 8]), np.ones([4, 8]))
      .compile()
  },
  'updates of many parameters': (length) => {
    const { grad, jit, np } = library
    const step = (parameters: readonly NDArray[], x: NDArray): readonly NDArray[] => {
      const loss = (all: readonly NDArray[]): NDArray =>
        all.reduce((sum, w) => np.add(sum, np.sum(np.square(np.matmul(x, w)))), np.array(0))
      const gradients = grad(loss)(parameters)
      return parameters.map((w, i) => np.subtract(w, np.multiply(0.1, gradients[i])))
    }
    const parameters = Array.from({ length }, (_, i) => np.ones([8, 8 + (i % 5)]))
    jit(step)
      .lower(parameters, np.ones([4, 8]))
      .compile()
  },
}

describe('twice the equations take twice the work', () => {
  it.each(Object.entries(programs))(
    '%s',
    (_name, compile) => {
      const works = [20, 120, 240].map((length) => {
        workSoFar()
        compile(length)
        return workSoFar()
      })
      // The first compiles also what does not depend on the length.
      const [, few, many] = works
      expect(few).toBeGreaterThan(100_000)
      expect(many / few).toBeLessThan(2.15)
    },
    60_000,
  )
})
