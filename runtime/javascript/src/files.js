/** The files of a bundle: from a zip file's bytes, or fetched from where a page lies. */

import { BundleError } from "./errors.js";

/**
 * @typedef {object} BundleFiles
 * @property {(name: string) => Promise<Uint8Array>} read Gives a file's content; rejects where there is none.
 */

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

/**
 * Return the files of a bundle that lies in a zip file, at its top or in one folder.
 *
 * @param {Uint8Array} bytes
 * @returns {BundleFiles}
 */
export function zipFiles(bytes) {
  const entries = zipEntries(bytes);
  const manifests = [...entries.keys()].filter((name) => /^([^/]+\/)?manifest\.json$/.test(name) && !name.startsWith("__MACOSX/"));
  const manifest = manifests.find((name) => name === "manifest.json") ?? manifests[0];
  if (manifest === undefined || (manifests.length > 1 && manifest !== "manifest.json")) {
    throw new BundleError(`the zip file: expected one bundle, with a manifest.json at its top or in a folder; got ${manifests.length}`);
  }
  const top = manifest.slice(0, -"manifest.json".length);
  return {
    async read(name) {
      const entry = entries.get(top + name);
      if (entry === undefined) throw new BundleError(`the zip file: no ${top}${name} in it`);
      return unpacked(bytes, entry, name);
    },
  };
}

/**
 * Return the files of a bundle that lies in a folder of a server, or in a zip file there, which is told by its ending.
 *
 * @param {string | URL} url Of the folder, or of a file whose name ends with .zip.
 * @returns {Promise<BundleFiles>}
 */
export async function fetchedFiles(url) {
  const base = String(url);
  if (new URL(base, "http://localhost/").pathname.endsWith(".zip")) return zipFiles(await fetched(base));
  const folder = base.endsWith("/") ? base : `${base}/`;
  return { read: (name) => fetched(folder + encodeURIComponent(name)) };
}

/** @param {string} url */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new BundleError(`${url}: expected a bundle's file, got ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * @typedef {object} ZipEntry
 * @property {number} method
 * @property {number} packed
 * @property {number} unpacked
 * @property {number} offset
 */

/**
 * @param {Uint8Array} bytes
 * @returns {Map<string, ZipEntry>}
 */
function zipEntries(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end -= 1;
  if (end < 0) throw new BundleError("expected a zip file of a bundle, got bytes that are none; was it downloaded whole?");
  /** @type {Map<string, ZipEntry>} */
  const entries = new Map();
  let position = view.getUint32(end + 16, true);
  const count = view.getUint16(end + 10, true);
  for (let i = 0; i < count; i += 1) {
    if (position + 46 > bytes.length || view.getUint32(position, true) !== DIRECTORY_ENTRY) {
      throw new BundleError("the zip file: its list of files is damaged; download it again");
    }
    const nameLength = view.getUint16(position + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(position + 46, position + 46 + nameLength));
    entries.set(name, {
      method: view.getUint16(position + 10, true),
      packed: view.getUint32(position + 20, true),
      unpacked: view.getUint32(position + 24, true),
      offset: view.getUint32(position + 42, true),
    });
    position += 46 + nameLength + view.getUint16(position + 30, true) + view.getUint16(position + 32, true);
  }
  return entries;
}

/**
 * @param {Uint8Array} bytes
 * @param {ZipEntry} entry
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
async function unpacked(bytes, entry, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = entry.offset + 30 + view.getUint16(entry.offset + 26, true) + view.getUint16(entry.offset + 28, true);
  const packed = bytes.slice(start, start + entry.packed);
  if (entry.method === STORED) return packed;
  if (entry.method !== DEFLATED) throw new BundleError(`the zip file: ${name} is neither stored nor deflated; pack it again`);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  let content;
  try {
    content = new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new BundleError(`the zip file: ${name} is damaged (${error}); download it again`);
  }
  if (content.length !== entry.unpacked) {
    throw new BundleError(`the zip file: ${name} is damaged: expected ${entry.unpacked} bytes, got ${content.length}`);
  }
  return content;
}
