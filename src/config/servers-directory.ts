// Reads servers.d: the servers of each file, in the format of any client; a file that cannot be used takes out itself alone.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { DROP_FOLDER, type DropListing } from './folders.ts';
import { gather, type Gathering, takeOut } from './gathering.ts';
import { readServerEntries } from './holdings.ts';
import { fileProblem, parseDocument } from './positions.ts';
import type { Problem } from './problems.ts';

/** The texts of the folder's files. `fatal`: the folder itself cannot be read, so the gateway does not know what is configured. */
export interface Folder {
  readonly texts: readonly { readonly file: string; readonly text: string }[];
  readonly fatal: readonly Problem[];
}

/** Reads the listed files. Never throws. */
export function gatherFolder(listing: DropListing, gathering: Gathering): Folder {
  const fatal = listing.problems.filter(({ severity }) => severity === 'error');
  if (fatal.length > 0) return { texts: [], fatal };
  gathering.problems.push(...listing.problems);
  const texts = listing.files.slice(0, BOUNDS.serverFiles).flatMap((file) => gatherFile(file, gathering));
  const over = listing.files[BOUNDS.serverFiles];
  if (over !== undefined)
    gathering.problems.push(fileProblem(over, `not read: ${DROP_FOLDER} holds more than ${BOUNDS.serverFiles} files`));
  for (const file of listing.others) gathering.problems.push(fileProblem(file, unread(file), 'warning'));
  return { texts, fatal: [] };
}

function gatherFile(file: string, gathering: Gathering): { file: string; text: string }[] {
  const read = gathering.folders.readDropped(file);
  if (read.text === undefined) {
    takeOut(file, read.problems, gathering);
    return [];
  }
  gathering.problems.push(...read.problems);
  const document = parseDocument(file, read.text);
  if (document.root === undefined) takeOut(file, document.problems, gathering);
  else gather(document, readServerEntries(document.value, file), gathering);
  return [{ file, text: read.text }];
}

/** Why a file is not read. It names the clients whose files are TOML or YAML, since people copy those. */
function unread(file: string): string {
  const why = 'not read: only names that end in .json are';
  if (/\.toml$/i.test(file)) return `${why}; write the servers of a Codex file ([mcp_servers.NAME]) as JSON`;
  if (/\.ya?ml$/i.test(file)) return `${why}; write the servers of a Continue or Goose file as JSON`;
  return why;
}
