import { defineConfig } from 'vitest/config'
import { driverVariables } from './scripts/webgpu/driver.ts'

const packages = ['core', 'transforms', 'nn', 'optim', 'testing']

/** Test files run side by side already; tests of threads ask for them. */
const env = { ADJOINT_THREADS: '1' }

// The processes that run the tests inherit this, and find a driver for the WebGPU device.
Object.assign(process.env, driverVariables())

export default defineConfig({
  test: {
    globalSetup: ['scripts/webgpu/test-setup.ts'],
    projects: [
      ...packages.map((name) => ({
        test: { name, root: `packages/${name}`, include: ['src/**/*.test.ts'], env },
      })),
      // What the documentation says and shows.
      { test: { name: 'docs', include: ['scripts/docs/*.test.ts'], env } },
      { test: { name: 'benchmarks', include: ['benchmarks/*.test.ts'], env } },
      {
        // Type tests: what must and must not compile. One run of the type checker for all packages;
        // errors outside the test files are `pnpm types`' business.
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['packages/*/src/**/*.test-d.ts'],
            tsconfig: 'tsconfig.json',
            ignoreSourceErrors: true,
          },
        },
      },
    ],
  },
})
