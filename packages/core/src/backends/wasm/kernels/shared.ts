import type { FunctionRef, ModuleBuilder } from '../emit'

const functionsOf = new WeakMap<ModuleBuilder, Map<string, FunctionRef>>()

/** A function that all nodes of a module which ask for the same `key` call together. */
export function shared(module: ModuleBuilder, key: string, build: () => FunctionRef): FunctionRef {
  let functions = functionsOf.get(module)
  if (functions === undefined) functionsOf.set(module, (functions = new Map<string, FunctionRef>()))
  const known = functions.get(key)
  if (known) return known
  const built = build()
  functions.set(key, built)
  return built
}
