import { np, tree, type NDArray } from '@adjoint/core'
import { grad, jit } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { leafNames } from './leaf-names'
import {
  freeze,
  matchesPath,
  pathMask,
  type PickedLeaves,
  pickPaths,
  placePaths,
} from './path-patterns'

const layer = (): { weight: NDArray; bias: NDArray } => ({
  weight: np.array([2, 3], { dtype: 'float32' }),
  bias: np.array([5], { dtype: 'float32' }),
})
const params = { encoder: [layer(), layer()], head: layer() }
const names = leafNames(tree.structure(params))

describe('patterns', () => {
  it.each([
    ['encoder', ['encoder.0.bias', 'encoder.0.weight', 'encoder.1.bias', 'encoder.1.weight']],
    ['encoder.*.weight', ['encoder.0.weight', 'encoder.1.weight']],
    ['**.bias', ['encoder.0.bias', 'encoder.1.bias', 'head.bias']],
    ['*.bias', ['head.bias']],
    ['**', names],
    ['encoder.1.**', ['encoder.1.bias', 'encoder.1.weight']],
    ['head.w*t', ['head.weight']],
    ['head.w', []],
    ['.*', []],
    [/0|head/, ['encoder.0.bias', 'encoder.0.weight', 'head.bias', 'head.weight']],
    [(path: string) => path.length < 10, ['head.bias']],
    [['head', 'encoder.0'], names.filter((name) => !name.startsWith('encoder.1'))],
  ])('%s', (pattern, expected) => {
    expect(names.filter((name) => matchesPath(pattern, name))).toEqual(expected)
  })

  it('that mean nothing are refused', () => {
    expect(() => freeze(params, ['head', 'haed'])).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: freeze: no leaf matches 'haed'
        rule: the leaves are encoder.0.bias, encoder.0.weight, encoder.1.bias, encoder.1.weight, head.bias, head.weight
        hint: * stands for one step of a path, ** for any number of steps]
    `)
  })

  it('make masks of the structure of the tree', () => {
    expect(pathMask(params, '**.bias')).toEqual({
      encoder: [
        { weight: false, bias: true },
        { weight: false, bias: true },
      ],
      head: { weight: false, bias: true },
    })
  })
})

const sum = (p: typeof params): NDArray =>
  tree
    .leaves<NDArray>(p)
    .reduce((total, leaf) => np.add(total, np.sum(np.square(leaf))), np.zeros([]))

describe('freeze', () => {
  it('keeps gradients from what is frozen, and values as they are', () => {
    const loss = (p: typeof params): NDArray => sum(freeze(p, ['encoder.0', '**.bias']))
    expect(loss(params).item()).toBe(sum(params).item())
    for (const gradient of [grad(loss)(params), jit(grad(loss))(params)]) {
      expect(gradient.encoder[0].weight.toArray()).toEqual([0, 0])
      expect(gradient.encoder[1].weight.toArray()).toEqual([4, 6])
      expect(gradient.head.bias.toArray()).toEqual([0])
    }
  })
})

describe('picking and placing', () => {
  it('are inverse', () => {
    const picked = pickPaths(params, '**.bias')
    expect(Object.keys(picked)).toEqual(['encoder.0.bias', 'encoder.1.bias', 'head.bias'])
    const doubled = tree.map((x: NDArray) => np.multiply(x, 2), picked)
    const placed = placePaths(params, doubled)
    expect(placed.head.weight).toBe(params.head.weight)
    expect(pickPaths(placed, '**.bias')['head.bias'].item()).toBe(10)
    expect(() => placePaths(params, { nowhere: np.ones([]) })).toThrow('no leaf nowhere')
  })

  it('give gradients of a part alone', () => {
    const gradient = grad((part: PickedLeaves) => sum(placePaths(params, part)))(
      pickPaths(params, 'head.weight'),
    )
    expect(Object.keys(gradient)).toEqual(['head.weight'])
    expect(gradient['head.weight'].toArray()).toEqual([4, 6])
  })
})
