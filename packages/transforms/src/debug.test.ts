import { np, random, setDevice, type NDArray } from '@adjoint/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkpoint, customJvp, debug, grad, hessian, jit, jvp, vjp, vmap } from './index'
import { cond, foriLoop, linearize, makeJaxpr, scan, whileLoop } from './index'

let lines: string[] = []
const output = (): string[] => {
  const seen = lines
  lines = []
  return seen
}
beforeEach(() => {
  lines = []
  debug.setOutput((line) => lines.push(line))
})
afterEach(() => {
  debug.setOutput()
  setDevice('wasm')
})

const three = np.array([1.5, 2.5, 3.5])
const traced = (x: NDArray): NDArray => {
  const y = np.sin(x)
  debug.print('y is {}', y)
  return np.multiply(y, 2)
}

describe('debug.print', () => {
  it('formats as it is asked to', () => {
    debug.print('no value')
    debug.print('{} of {}: {{{name}}}', 1.5, np.arange(3), {
      name: np.array([
        [1, 2],
        [3, 4],
      ]),
    })
    debug.print('{tree}', { tree: { a: np.array(0.1), b: [true, np.array(2)] } })
    expect(output()).toEqual([
      'no value',
      '1.5 of [0, 1, 2]: {[[1, 2],\n [3, 4]]}',
      '{a:0.1,b:[True,2]}',
    ])
  })

  it.each([
    ['{} {}', [1], 'the format has 2 unnamed places, but there are 1 values'],
    ['{a}', [{ b: 1 }], 'no value is named a'],
    ['text', [{ b: 1 }], 'the format has no place for b'],
    ['{', [], 'a brace stands alone'],
  ])('refuses %s with %o', (format, values, message) => {
    expect(() => {
      debug.print(format, ...values)
    }).toThrow(message)
  })

  it('prints each time that a function runs, compiled or not', () => {
    const x = np.array(0.5)
    for (const f of [traced, jit(traced), jit(jit(traced)), checkpoint(traced)]) {
      expect(f(x).item()).toBeCloseTo(2 * Math.sin(0.5))
      expect(output()).toEqual(['y is 0.47942555'])
    }
    const compiled = jit(traced)
    compiled(x)
    compiled(np.array(1.5))
    expect(output()).toEqual(['y is 0.47942555', 'y is 0.997495'])
  })

  it('prints once per example, in order', () => {
    const values = [1.5, 2.5, 3.5].map((x) => Math.sin(x).toFixed(4))
    const printed = (): string[] => output().map((line) => Number(line.slice(5)).toFixed(4))
    for (const f of [vmap(traced), jit(vmap(traced)), vmap(jit(traced))]) {
      f(three)
      expect(printed()).toEqual(values)
    }
    vmap(vmap(traced))(np.stack([three, three]))
    expect(printed()).toEqual([...values, ...values])
    const withShared = (x: NDArray, y: NDArray): NDArray => {
      debug.print('{} {}', x, y)
      return x.add(y)
    }
    vmap(withShared, { inAxes: [0, null] })(np.arange(2), np.array(7))
    expect(output()).toEqual(['0 7', '1 7'])
  })

  it('prints the value where derivatives are taken, and does not change them', () => {
    const x = np.array(0.5)
    const slope = 2 * Math.cos(0.5)
    for (const f of [grad(traced), jit(grad(traced)), grad(jit(traced))]) {
      expect(f(x).item()).toBeCloseTo(slope)
      expect(output()).toEqual(['y is 0.47942555'])
    }
    expect(jvp(traced, [x], [np.ones([])])[1].item()).toBeCloseTo(slope)
    vjp(traced, x)[1](np.ones([]))
    linearize(traced, x)[1](np.ones([]))
    hessian(traced)(x)
    expect(new Set(output())).toEqual(new Set(['y is 0.47942555']))
  })

  it('prints in every step of a loop', () => {
    const sum = (xs: NDArray): NDArray =>
      scan(
        (total: NDArray, x: NDArray) => {
          debug.print('{} + {}', total, x)
          const next = total.add(x)
          return [next, next]
        },
        0,
        xs,
      )[1]
    for (const f of [sum, jit(sum)]) {
      expect(f(np.arange(3)).toArray()).toEqual([0, 1, 3])
      expect(output()).toEqual(['0 + 0', '0 + 1', '1 + 2'])
    }
    const gradient = grad((xs: NDArray) => sum(xs).get(-1))(three)
    expect(gradient.toArray()).toEqual([1, 1, 1])
    expect(output()).toEqual(['0. + 1.5', '1.5 + 2.5', '4. + 3.5'])

    const doubling = (x: NDArray): NDArray =>
      whileLoop(
        (y: NDArray) => np.less(y, 10),
        (y: NDArray) => {
          debug.print('{}', y)
          return y.mul(2)
        },
        x,
      )
    for (const f of [doubling, jit(doubling)]) {
      expect(f(np.array(3)).item()).toBe(12)
      expect(output()).toEqual(['3', '6'])
    }
    jit((x: NDArray) =>
      foriLoop(
        0,
        2,
        (i, y: NDArray) => {
          debug.print('{}', i)
          return y
        },
        x,
      ),
    )(three)
    expect(output()).toEqual(['0', '1'])
  })

  it('prints in the branch that is taken', () => {
    const branch = (x: NDArray): NDArray =>
      cond(
        np.greater(x, 0),
        (y: NDArray) => {
          debug.print('positive {}', y)
          return y
        },
        (y: NDArray) => {
          debug.print('negative {}', y)
          return np.negative(y)
        },
        x,
      )
    for (const f of [branch, jit(branch)]) {
      expect(f(np.array(-2)).item()).toBe(2)
      f(np.array(3))
      expect(output()).toEqual(['negative -2', 'positive 3'])
    }
  })

  it('prints inside functions with rules of their own', () => {
    const f = customJvp(traced).defjvp(([x], [xDot]) => [traced(x), xDot.mul(5)])
    expect(jit(grad(f))(np.array(0.5)).item()).toBe(5)
    expect(output()).toEqual(['y is 0.47942555'])
  })

  it('prints on the reference device', () => {
    setDevice('reference')
    jit(traced)(np.array(0.5))
    expect(output()).toEqual(['y is 0.47942555'])
  })

  it('shows in the program', () => {
    expect(String(makeJaxpr(traced)(np.array(0.5)))).toContain('debug_callback')
  })
})

describe('debug.callback', () => {
  it('gets concrete trees, in the order of the program', () => {
    const seen: unknown[] = []
    const f = jit((x: NDArray) => {
      debug.callback(
        (tree: { a: NDArray; b: readonly NDArray[] }, n: NDArray) => {
          seen.push([tree.a.toArray(), tree.b[0].item(), n.item()])
        },
        { a: x, b: [np.sum(x)] },
        np.array(7),
      )
      debug.callback(() => seen.push('second'))
      return x
    })
    f(np.array([1, 2]))
    expect(seen).toEqual([[[1, 2], 3, 7], 'second'])
  })

  it('throws through the program', () => {
    const f = jit((x: NDArray) => {
      debug.callback((y: NDArray) => {
        if (Number(y) > 1) throw new Error('too large')
      }, x)
      return x.mul(2)
    })
    expect(f(np.array(1)).item()).toBe(2)
    expect(() => f(np.array(2))).toThrow('too large')
    expect(f(np.array(1)).item()).toBe(2)
  })

  it('leaves results bit for bit as they are', () => {
    const f = (watched: boolean) =>
      jit((x: NDArray) => {
        const y = np.tanh(np.matmul(x, x.T))
        if (watched) debug.callback(() => undefined, y)
        return scan(
          (c: NDArray, row: NDArray) => {
            if (watched) debug.callback(() => undefined, row)
            return [c.add(row), c]
          },
          np.zeros([5]),
          y,
        )
      })
    const x = random.normal(random.key(0), [5, 3])
    const [plain, watched] = [f(false)(x), f(true)(x)]
    plain.forEach((array, i) => {
      expect(watched[i].toArray()).toEqual(array.toArray())
    })
  })
  it('ends donated arguments, as programs without callbacks do', () => {
    const step = jit(
      (w: NDArray, x: NDArray) => {
        debug.print('{}', np.sum(w))
        return [np.sub(w, x), x] as const
      },
      { donateArgnums: [0, 1] },
    )
    const [w, x] = [np.add(np.ones([3]), 1), np.add(np.ones([3]), 0)]
    const [next, handed] = step(w, x)
    expect(next.toArray()).toEqual([1, 1, 1])
    expect(handed.toArray()).toEqual([1, 1, 1])
    expect(output()).toEqual(['6.'])
    expect(() => w.toArray()).toThrow(/donated/)
    expect(step(next, next).map((y) => y.toArray())[0]).toEqual([0, 0, 0])
  })
})
