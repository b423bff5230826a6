/** Reading a bundle from a disk, in Node. */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { BundleError } from "./errors.js";
import { zipFiles } from "./files.js";

/**
 * Return the files of a bundle on a disk, for `load`.
 *
 * @param {string} path Of a bundle's folder, or of a zip file of one.
 * @returns {Promise<import("./files.js").BundleFiles>}
 */
export async function openBundle(path) {
  const found = await stat(path).catch(() => null);
  if (found === null) throw new BundleError(`${path}: no such folder or file; expected a bundle written by s2s-export`);
  if (!found.isDirectory()) return zipFiles(new Uint8Array(await readFile(path)));
  return {
    read: async (name) => {
      try {
        return new Uint8Array(await readFile(join(path, name)));
      } catch (error) {
        throw new BundleError(`${join(path, name)}: ${error instanceof Error ? error.message : error}`);
      }
    },
  };
}
