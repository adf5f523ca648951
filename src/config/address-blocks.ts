// IP addresses and address blocks (CIDR) as the configuration writes them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
import { BlockList, isIP } from 'node:net';

interface Block {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly prefix: number;
}

/** Whether a text is an address or a block of addresses. */
export function isAddressBlock(text: string): boolean {
  return readBlock(text) !== undefined;
}

/** Makes a test for addresses in one of the blocks; it takes an IPv4-mapped IPv6 address for the IPv4 address. */
export function compileBlocks(texts: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of texts) {
    const block = readBlock(text);
    if (block) list.addSubnet(block.address, block.prefix, block.family);
  }
  return (address) => list.check(plainAddress(address), isIP(plainAddress(address)) === 6 ? 'ipv6' : 'ipv4');
}

/** The address without the prefix of an IPv4-mapped IPv6 address, and without a zone. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
}

function readBlock(text: string): Block | undefined {
  const [, address = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = length === undefined ? bits : Number(length);
  if (version === 0 || prefix > bits) return undefined;
  return { address, family: version === 6 ? 'ipv6' : 'ipv4', prefix };
}
