import type { FunctionRef, ModuleBuilder } from '../emit'

/** A function that all nodes of a module which ask for the same `key` call together. */
export const shared = (module: ModuleBuilder, key: string, build: () => FunctionRef): FunctionRef =>
  module.sharedFunction(key, build)
