// The bounds of servers: processes, connections, instances, offers.
import { SERVER_CONNECTIONS } from './server-connections.ts';
import { SERVER_INSTANCES } from './server-instances.ts';
import { SERVER_OFFERS } from './server-offers.ts';
import { SERVER_PROCESSES } from './server-processes.ts';

export const UPSTREAM = { ...SERVER_PROCESSES, ...SERVER_CONNECTIONS, ...SERVER_INSTANCES, ...SERVER_OFFERS };
