/**
 * JSON Schema of `manifest.json` (docs/bundle.md B4.3) and of the part of it that a maker writes by
 * hand (B7.1). Always holds: no unknown field, and every text, list and number has a limit. Imports
 * the limits.
 */
import { RANGE_CHARS_MAX, VERSION_CHARS_MAX } from '../core/version.ts';
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNKS_MAX,
  MANIFEST_BYTES_MAX,
  MEMBER_BYTES_MAX,
  ROOTS_BYTES_MAX,
  UPDATER_BYTES_MAX,
} from './limits.ts';

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

const word = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' } as const;
const version = { type: 'string', minLength: 5, maxLength: VERSION_CHARS_MAX } as const;
const range = { type: 'string', minLength: 1, maxLength: RANGE_CHARS_MAX } as const;
const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
const rawBytes = {
  type: 'integer',
  minimum: 1,
  maximum: CHUNKS_MAX * CHUNK_BYTES_MAX,
} as const;
const counter = { type: 'integer', minimum: 1, maximum: SAFE_MAX } as const;

/** Fields of the manifest that people decide. */
const decided = {
  product: word,
  hardware: { type: 'array', minItems: 1, maxItems: 64, uniqueItems: true, items: word },
  version,
  releaseCounter: counter,
  from: range,
  blocked: { type: 'array', maxItems: 256, items: version },
  minUpdater: version,
  pair: {
    type: 'object',
    additionalProperties: false,
    required: ['protocol', 'sideBySide'],
    properties: {
      protocol: {
        type: 'array',
        minItems: 2,
        maxItems: 2,
        items: { type: 'integer', minimum: 1, maximum: 65_535 },
      },
      sideBySide: range,
    },
  },
  health: {
    type: 'object',
    additionalProperties: false,
    properties: { soakS: { type: 'integer', minimum: 0, maximum: 86_400 } },
  },
  // No control characters but tab and line feed: notes are shown on a terminal.
  notes: {
    type: 'string',
    maxLength: 65_536,
    pattern: '^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$',
  },
  created: { type: 'string', pattern: '^[0-9TZ:.+-]{10,40}$' },
} as const;

/** Fields of an image that people decide. */
const decidedImage = {
  name: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
  class: { enum: ['system', 'storage'] },
  version,
  counter,
  runsWith: range,
  formatLevel: { type: 'integer', minimum: 0, maximum: 65_535 },
} as const;

const required = [
  'product',
  'hardware',
  'version',
  'releaseCounter',
  'from',
  'blocked',
  'minUpdater',
  'pair',
  'images',
] as const;
const requiredImage = ['name', 'class', 'version', 'counter', 'runsWith'] as const;

/** The manifest (B4.3). */
export const manifestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['format', 'requires', ...required],
  properties: {
    ...decided,
    format: { const: 1 },
    requires: { type: 'array', maxItems: 64, items: { type: 'string', maxLength: 64 } },
    root: {
      type: 'object',
      additionalProperties: false,
      required: ['version', 'sizeBytes', 'sha256'],
      properties: {
        version: counter,
        sizeBytes: { type: 'integer', minimum: 1, maximum: ROOTS_BYTES_MAX },
        sha256,
      },
    },
    updater: {
      type: 'object',
      additionalProperties: false,
      required: ['version', 'sizeBytes', 'sha256'],
      properties: {
        version,
        sizeBytes: { type: 'integer', minimum: 1, maximum: UPDATER_BYTES_MAX },
        sha256,
      },
    },
    images: {
      type: 'array',
      minItems: 1,
      maxItems: 8,
      items: {
        type: 'object',
        additionalProperties: false,
        required: [
          ...requiredImage,
          'rawBytes',
          'chunkBytes',
          'chunks',
          'compressedBytes',
          'indexBytes',
          'indexSha256',
          'rawSha256',
          'imageId',
        ],
        properties: {
          ...decidedImage,
          rawBytes,
          chunkBytes: { type: 'integer', minimum: CHUNK_BYTES_MIN, maximum: CHUNK_BYTES_MAX },
          chunks: { type: 'integer', minimum: 1, maximum: CHUNKS_MAX },
          compressedBytes: { type: 'integer', minimum: 1, maximum: MEMBER_BYTES_MAX },
          indexBytes: { type: 'integer', minimum: 1, maximum: 8 * MANIFEST_BYTES_MAX },
          indexSha256: sha256,
          rawSha256: sha256,
          imageId: sha256,
          base: {
            type: 'object',
            additionalProperties: false,
            required: ['version', 'counter', 'rawBytes', 'rawSha256', 'imageId'],
            properties: { version, counter, rawBytes, rawSha256: sha256, imageId: sha256 },
          },
        },
      },
    },
  },
} as const;

/** What a maker writes: the decided fields, and per image where its content is (B7.1). */
export const specSchema = {
  type: 'object',
  additionalProperties: false,
  required,
  properties: {
    ...decided,
    chunkBytes: { type: 'integer', minimum: CHUNK_BYTES_MIN, maximum: CHUNK_BYTES_MAX },
    images: {
      type: 'array',
      minItems: 1,
      maxItems: 8,
      items: {
        type: 'object',
        additionalProperties: false,
        required: requiredImage,
        properties: { ...decidedImage, file: { type: 'string', minLength: 1, maxLength: 4096 } },
      },
    },
  },
} as const;
