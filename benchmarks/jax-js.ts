/** @jax-js/jax on its WebAssembly backend, loaded once. */
import * as jax from '@jax-js/jax'

let ready: Promise<unknown> | null = null

/** Its arrays count references: `.ref` keeps an argument, and a result that nobody takes is disposed. */
export async function jaxJs(): Promise<typeof jax> {
  ready ??= jax.init('wasm').then(() => jax.defaultDevice('wasm'))
  await ready
  return jax
}
