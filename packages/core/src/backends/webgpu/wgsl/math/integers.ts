/** Integer operations that WGSL leaves open or refuses: division, powers, shifts by the width. */
import type { Declarations } from './text'

export const integers: Declarations = {
  // XLA: x / 0 is all ones, x mod 0 is x, and the smallest integer divided by −1 is itself.
  div_i32: `fn div_i32(x: i32, y: i32) -> i32 {
  let is_unsafe = y == 0 || (y == -1 && x == bitcast<i32>(0x80000000u));
  return select(x / select(y, 1, is_unsafe), -1, y == 0);
}`,
  div_u32: `fn div_u32(x: u32, y: u32) -> u32 {
  return select(x / max(y, 1u), 0xffffffffu, y == 0u);
}`,
  rem_i32: `fn rem_i32(x: i32, y: i32) -> i32 {
  // Everything is a multiple of −1.
  let safe = select(y, 1, y == 0 || y == -1);
  return select(x - (x / safe) * safe, x, y == 0);
}`,
  rem_u32: `fn rem_u32(x: u32, y: u32) -> u32 {
  return select(x % max(y, 1u), x, y == 0u);
}`,
  /** By repeated squaring; a negative exponent leaves only the powers of ±1. */
  pow_i32: `fn pow_i32(x: i32, y: i32) -> i32 {
  if (y < 0 && x != 1 && x != -1) {
    return 0;
  }
  var result = 1;
  var square = x;
  for (var left = bitcast<u32>(y); left != 0u; left >>= 1u) {
    if ((left & 1u) == 1u) {
      result *= square;
    }
    square *= square;
  }
  return result;
}`,
  pow_u32: `fn pow_u32(x: u32, y: u32) -> u32 {
  var result = 1u;
  var square = x;
  for (var left = y; left != 0u; left >>= 1u) {
    if ((left & 1u) == 1u) {
      result *= square;
    }
    square *= square;
  }
  return result;
}`,
  // Shifts of a value of a width by that width or more leave nothing, or copies of the sign.
  shift_left: `fn shift_left(x: u32, by: u32, width: u32) -> u32 {
  return select(0u, x << (by & 31u), by < width);
}`,
  shift_right: `fn shift_right(x: u32, by: u32, width: u32) -> u32 {
  return select(0u, x >> (by & 31u), by < width);
}`,
  shift_right_signed: `fn shift_right_signed(x: i32, by: u32, width: u32) -> i32 {
  return x >> min(by, width - 1u);
}`,

  // ---- conversions --------------------------------------------------------------------------------

  // To nearest: `f32(x)` may go either way. Both halves are exact, and so is the product.
  i32_to_f32: `fn i32_to_f32(x: i32) -> f32 {
  return f32(x >> 16u) * 65536.0 + f32(x & 0xffff);
}`,
  u32_to_f32: `fn u32_to_f32(x: u32) -> f32 {
  return f32(x >> 16u) * 65536.0 + f32(x & 0xffffu);
}`,
  f32_to_i32: `fn f32_to_i32(x: f32) -> i32 {
  if (is_nan(x)) {
    return 0;
  }
  if (x >= 2147483648.0) {
    return 2147483647;
  }
  if (x <= -2147483648.0) {
    return bitcast<i32>(0x80000000u);
  }
  return i32(x);
}`,
  f32_to_u32: `fn f32_to_u32(x: f32) -> u32 {
  if (is_nan(x) || x <= 0.0) {
    return 0u;
  }
  if (x >= 4294967296.0) {
    return 0xffffffffu;
  }
  return u32(x);
}`,
}
