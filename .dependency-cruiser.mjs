/**
 * The proof that imports point one way: `pnpm check:imports`.
 *
 * `import type` is exempt everywhere. It vanishes when the code is compiled, and it is how the
 * lower folders name the array class without depending on it. Tests may import from above: nothing
 * imports them.
 */

const tests = '\\.(test|test-d|bench)\\.ts$'
/** What tests are made of: samples, fixtures, generators. Only tests import it. */
const testSupport = '(/testing/|/samples\\.ts$|/random-[a-z]+\\.ts$|\\.(fixture|samples)\\.ts$)'
const unpublished = [
  tests,
  '\\.fixture\\.ts$',
  `^packages/core/src/.*${testSupport}`,
  // The project's own programs, for its tests and its report.
  '^packages/testing/src/suite/',
]
const runtime = { dependencyTypesNot: ['type-only'] }

/** One rule per layer: a module of a layer imports nothing from the layers after it. */
function upwardImportsForbidden(name, layers) {
  return layers.slice(0, -1).map((layer, index) => ({
    name: `${name}: ${layer.name} stands below ${layers[index + 1].name}`,
    severity: 'error',
    from: { path: layer.path, pathNot: [...unpublished, ...(layer.pathNot ?? [])] },
    to: {
      path: layers.slice(index + 1).map(({ path }) => path),
      pathNot: layer.mayImport ?? [],
      ...runtime,
    },
  }))
}

const packageDependencies = {
  core: [],
  transforms: ['core'],
  nn: ['transforms', 'core'],
  optim: ['transforms', 'core'],
  testing: ['transforms', 'core'],
}

/**
 * What tests may import besides. Those of nn and optim hold their functions to the checks of
 * `testing`, which does not know them; its tests also try whole programs, made of everything.
 */
const testDependencies = { nn: ['testing'], optim: ['testing'], testing: ['nn', 'optim'] }

const packageDirection = Object.entries(packageDependencies).flatMap(([name, allowed]) => {
  const from = `^packages/${name}/src/`
  const to = (names) => ({
    path: '^(packages|examples|benchmarks)/',
    pathNot: names.map((each) => `^packages/${each}/`),
  })
  const reach = allowed.length > 0 ? allowed.join(' and ') : 'itself'
  const rule = { name: `packages: ${name} imports only ${reach}`, severity: 'error' }
  const extra = testDependencies[name]
  if (extra === undefined) return [{ ...rule, from: { path: from }, to: to([name, ...allowed]) }]
  return [
    { ...rule, from: { path: from, pathNot: tests }, to: to([name, ...allowed]) },
    {
      name: `packages: tests of ${name} import only ${reach} and ${extra.join(' and ')}`,
      severity: 'error',
      from: { path: `${from}.*${tests}` },
      to: to([name, ...allowed, ...extra]),
    },
  ]
})

const entryPoints = (name) => ({
  name: 'index',
  path: `^packages/${name}/src/(index|internal|install)\\.ts$`,
})

/**
 * Two vocabularies stand in the folder whose subject they are, and yet below the primitives: the
 * scalar expressions in which a primitive says what one element of its result is, and the plain
 * arrays of its reference evaluation. They know nothing of the compiler or of a backend: they import
 * `types/` and nothing else. See docs/design/imports.md.
 */
const vocabularies = [
  '^packages/core/src/compiler/expr\\.ts$',
  '^packages/core/src/backends/reference/host-array\\.ts$',
]

/**
 * Kernels and formulas of the WebAssembly device that not every page has. A lowering rule names its own
 * by value, so that bundlers leave out the others; they know nothing of primitives.
 */
const namedByPrimitives = ['^packages/core/src/backends/wasm/rare\\.ts$']

const coreFolders = [
  'types',
  'trace',
  'jaxpr',
  'primitives',
  'ops',
  'compiler',
  'backends',
  'array',
]
const coreLayers = [
  ...coreFolders.map((name) => ({
    name,
    path: `^packages/core/src/${name}/`,
    pathNot: vocabularies,
    mayImport: [
      ...(name === 'types' ? [] : vocabularies),
      ...(name === 'primitives' ? namedByPrimitives : []),
    ],
  })),
  entryPoints('core'),
]

const transformsLayers = [
  {
    name: 'the interpreters',
    path: '^packages/transforms/src/(jvp|linearize|transpose|vmap)\\.ts$',
  },
  { name: 'their compositions', path: '^packages/transforms/src/(grad|jacobian)\\.ts$' },
  {
    name: 'the higher-order primitives',
    path: '^packages/transforms/src/(jit/|control/|custom|checkpoint|collectives)',
  },
  entryPoints('transforms'),
]

export default {
  forbidden: [
    {
      name: 'no cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: runtime },
    },
    ...packageDirection,
    ...upwardImportsForbidden('core', coreLayers),
    ...upwardImportsForbidden('transforms', transformsLayers),
    {
      name: 'core: the vocabularies import only types',
      severity: 'error',
      from: { path: vocabularies },
      to: { path: '^packages/', pathNot: '^packages/core/src/types/', ...runtime },
    },
    {
      name: 'published code imports nothing that tests are made of',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: unpublished },
      to: { path: unpublished },
    },
    {
      name: 'a sibling package is imported by its entry points',
      severity: 'error',
      from: { path: '^packages/([^/]+)/src/' },
      to: {
        path: '^packages/[^/]+/src/',
        pathNot: [
          '^packages/$1/',
          '^packages/[^/]+/src/(index|internal|backends/webgpu/index|primitives/all\\.samples)\\.ts$',
        ],
      },
    },
    {
      name: 'published code imports what its package.json declares',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: unpublished },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        pathNot: '^packages/',
        ...runtime,
      },
    },
    {
      name: 'published code runs in browsers',
      comment: 'What only Node has is imported dynamically, behind a feature test.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: tests },
      to: { dependencyTypes: ['core'], dynamic: false, ...runtime },
    },
    {
      name: 'every import resolves',
      severity: 'error',
      // This one stands beside the files that an example writes, and runs there.
      from: { pathNot: '^examples/export/elsewhere\\.mjs$' },
      to: { couldNotResolve: true, ...runtime },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^packages/[^/]+/dist/' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
