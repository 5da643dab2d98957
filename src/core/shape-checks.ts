/**
 * Checks of values that came from a disk or from a peer, to be put together. Always holds: none
 * throws, whatever the value is; what is not named is not looked at. Pure; imports nothing.
 */

/** Whether a value is of a certain kind. */
export type Check = (value: unknown) => boolean;

/** A text. */
export const text: Check = (value) => typeof value === 'string';
/** A whole number that is exact. */
export const count: Check = (value) => Number.isSafeInteger(value);
/** Any finite number. */
export const amount: Check = (value) => typeof value === 'number' && Number.isFinite(value);
/** True or false. */
export const flag: Check = (value) => typeof value === 'boolean';
/** A node of the pair. */
export const node: Check = (value) => value === 'A' || value === 'B';
/** Such a value, or null. */
export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
/** Such a value, null, or nothing. */
export const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
/** A list of such values. */
export const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
/** An object, and no list. */
export const object = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** An object with such values. */
export const each =
  (check: Check): Check =>
  (value) =>
    object(value) && Object.values(value).every(check);
/** An object that has these fields; it may have more. */
export const fields = (shape: Readonly<Record<string, Check>>): Check => {
  const entries = Object.entries(shape);
  return (value) => object(value) && entries.every(([key, check]) => check(value[key]));
};
