import { defineConfig } from 'vitest/config'

const packages = ['core', 'transforms', 'nn', 'optim', 'testing']

export default defineConfig({
  test: {
    projects: [
      ...packages.map((name) => ({
        test: { name, root: `packages/${name}`, include: ['src/**/*.test.ts'] },
      })),
    ],
  },
})
