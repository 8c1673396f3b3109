/**
 * What runs an exported program where the library is not: a module of JavaScript, kept as text so
 * that it is written out as it stands. It is to stay below 3 KB.
 */
export const loader = `// Runs a program that Adjoint has exported. No other file is needed.
const views = {
  float64: Float64Array, float32: Float32Array, int32: Int32Array, uint32: Uint32Array,
  int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
  float16: Uint16Array, bfloat16: Uint16Array,
}

/**
 * Takes the .wasm file: its bytes, a Response, or a promise of either.
 * Answers \`run\`, a function of the arguments that the manifest tells, and the manifest itself.
 * An array is a typed array of its elements in row-major order, a scalar a number or a boolean.
 */
export async function load(source) {
  source = await source
  const bytes = source.arrayBuffer ? await source.arrayBuffer() : source
  const module = await WebAssembly.compile(bytes)
  const section = (name) => WebAssembly.Module.customSections(module, 'adjoint.' + name)[0]
  const manifest = JSON.parse(new TextDecoder().decode(section('manifest')))
  const { memory: layout, inputs, outputs, constants } = manifest
  const memory = new WebAssembly.Memory({ initial: layout.pages })
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } })
  const view = ({ dtype, shape, address }, buffer = memory.buffer) =>
    new views[dtype](buffer, address, shape.reduce((a, b) => a * b, 1))
  new Int32Array(memory.buffer, layout.block).set(layout.words)
  const data = section('constants')
  let at = 0
  for (const constant of constants) {
    const target = view(constant)
    const end = at + target.byteLength
    target.set(new target.constructor(data.slice(at, end)))
    at = end
  }
  const put = (tree, value, path) => {
    if (tree === null) return
    if (typeof tree === 'object') {
      for (const key in tree) put(tree[key], value?.[key], path + '.' + key)
      return
    }
    const { dtype, shape } = inputs[tree]
    const target = view(inputs[tree])
    const elements = typeof value === 'number' || typeof value === 'boolean' ? [value] : value
    if (elements?.length !== target.length) {
      throw new TypeError(\`\${path} is not an array of \${target.length}: \${dtype}[\${shape}]\`)
    }
    target.set(elements)
  }
  const get = (tree) => {
    if (tree === null) return null
    if (Array.isArray(tree)) return tree.map(get)
    if (typeof tree === 'object') {
      return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, get(part)]))
    }
    const { dtype, shape } = outputs[tree]
    const elements = view(outputs[tree])
    if (shape.length > 0) return elements.slice()
    return dtype === 'bool' ? elements[0] !== 0 : elements[0]
  }
  const run = (...args) => {
    put(manifest.arguments, args, 'args')
    exports.run(layout.block)
    return get(manifest.result)
  }
  return { run, manifest }
}
`
