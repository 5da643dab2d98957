/**
 * Codes for why a bundle is refused: damaged, not trusted, not for this pair, no room. Nothing was
 * written when one of them is met before the rollout. Part of the table in codes.ts. Pure; imports
 * only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const BUNDLE_CODES = {
  'bundle.not_a_file': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is not a regular file.',
    next: 'Give the path of an update.bin file.',
  },
  'bundle.wrong_type': {
    exit: EXIT.bundleDamaged,
    title: 'The file is not an update bundle.',
    next: 'Give an update.bin file; check that the download is complete and the right one.',
  },
  'bundle.damaged': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is damaged: its content does not match its checksums.',
    next: 'Copy or download the bundle again.',
  },
  'bundle.truncated': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle ends too early.',
    next: 'Copy or download the bundle again.',
  },
  'bundle.trailing_data': {
    exit: EXIT.bundleDamaged,
    title: 'There is data after the end of the bundle.',
    next: 'Copy or download the bundle again; nothing may be appended to it.',
  },
  'bundle.unknown_format': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle has a format version that this program does not know.',
    next: 'Update Tandem itself first, with a bundle in a format that it knows.',
  },
  'bundle.invalid_manifest': {
    exit: EXIT.bundleDamaged,
    title: 'The manifest is signed but not valid.',
    next: 'Ask the maker of the bundle for a correct one.',
  },
  'bundle.delta_unsupported': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is a delta bundle of a kind that this program cannot apply.',
    next: 'Use the full bundle of the same release.',
  },
  'bundle.wrong_base': {
    exit: EXIT.noPath,
    title: 'The delta bundle is made from another image than the one that is installed.',
    next: 'Use the full bundle of the same release.',
  },
  'bundle.invalid_input': {
    exit: EXIT.usage,
    title: 'The bundle cannot be made from this input.',
    next: 'Correct the input that is named.',
  },
  'bundle.interrupted': {
    exit: EXIT.cancelled,
    title: 'The command was interrupted; no file was changed.',
    next: 'Run it again.',
  },
  'trust.no_root': {
    exit: EXIT.untrusted,
    title: 'There is no usable trust root, so no signature can be trusted.',
    next: 'Install root.json; without it nothing is accepted.',
  },
  'trust.untrusted': {
    exit: EXIT.untrusted,
    title: 'The signature is not trusted.',
    next: 'Use a bundle that is signed by enough of the keys in root.json.',
  },
  'trust.rotation': {
    exit: EXIT.untrusted,
    title: 'The new trust root that comes along is not accepted.',
    next: 'Use a bundle whose new root is signed by enough of the old and of the new keys.',
  },
  'trust.not_kept': {
    exit: EXIT.internal,
    title: 'The new trust root of a permanent update could not be kept.',
    next: 'See that the folder of the trust root can be written; it is tried again by itself.',
  },
  'version.same_or_newer': {
    exit: EXIT.sameOrNewer,
    title: 'Both nodes already run this version or a newer one.',
    next:
      'Nothing needs to be done; to go back use `tandem rollback`. A new or re-imaged node gets ' +
      'its place in the pair by `tandem pair replace NODE`.',
  },
  'version.downgrade': {
    exit: EXIT.noPath,
    title: 'The bundle is older than a part of what is installed.',
    next: 'Use a bundle at least as new as every node and component, or `tandem rollback`.',
  },
  'version.no_path': {
    exit: EXIT.noPath,
    title: 'There is no supported upgrade path from the installed version.',
    next: 'Install one of the versions first that the bundle updates from.',
  },
  'version.blocked': {
    exit: EXIT.noPath,
    title: 'The bundle may not be installed over the installed version.',
    next: 'Install an intermediate version first.',
  },
  'version.incompatible': {
    exit: EXIT.noPath,
    title: 'The bundle does not fit what the pair runs, or what its store was written with.',
    next: 'Install an intermediate version first, or a bundle that reads the store as it is.',
  },
  'updater.too_old': {
    exit: EXIT.noPath,
    title: 'The installed updater is too old for this bundle.',
    next: 'Install an intermediate version with a newer updater first.',
  },
  'product.other': {
    exit: EXIT.otherProduct,
    title: 'The bundle is for another product.',
    next: 'Use the bundle for this product.',
  },
  'hardware.other': {
    exit: EXIT.otherProduct,
    title: 'The bundle does not support this hardware.',
    next: 'Use the bundle for this hardware.',
  },
  'space.depot': {
    exit: EXIT.noSpace,
    title: 'There is not enough space to keep the bundle.',
    next: 'Free the space that is named on the data partition of the node that is named.',
  },
  'space.slot': {
    exit: EXIT.noSpace,
    title: 'The image is larger than the slot.',
    next: 'Use a bundle that is made for this partition layout.',
  },
} as const satisfies Record<string, CodeEntry>;
