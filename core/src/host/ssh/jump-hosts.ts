/** Logins of jump hosts: one for all that are behind it, whatever the transport. */
import { EngineFailure } from "../../engine/protocol/failure";
import { cancelled } from "../shared/connection-errors";
import { LoginTurn } from "./ramp";
import type { Route } from "./route";
import { Shared, type Lease } from "../shared/lease";
import type { ConnectContext, HostConnection } from "../shared/transport";

/** @param jump where the connection begins; null: here. It is given back by who got it, when `login` did not reject. */
export type Login<C> = (route: Route, jump: Lease<C> | null, context: ConnectContext, turn: LoginTurn) => Promise<C>;

export class JumpHosts<C extends HostConnection> {
  private readonly connections = new Shared<C>();

  /** @param onConnected called once for each jump host */
  constructor(
    private readonly login: Login<C>,
    private readonly onConnected: (connection: C) => void = () => undefined,
  ) {}

  /** Logs in, on the jump hosts first. Rejects EngineFailure. */
  async connect(route: Route, context: ConnectContext): Promise<C> {
    const { host } = route.spec;
    try {
      // A place is for one login, or logins would wait for those of their jump hosts, and these for a place.
      const jump = route.jump === null ? null : await this.connectJump(host, route.jump, context);
      try {
        return await LoginTurn.run(context.signal, (turn) => this.login(route, jump, context, turn));
      } catch (error) {
        await jump?.release();
        throw error;
      }
    } catch (error) {
      throw context.signal.aborted ? cancelled(host) : error;
    }
  }

  private async connectJump(host: string, jump: Route, context: ConnectContext): Promise<Lease<C>> {
    const logIn = async (signal: AbortSignal): Promise<C> => {
      const connection = await this.connect(jump, { ...context, signal });
      this.onConnected(connection);
      return connection;
    };
    try {
      return await this.connections.acquire(JSON.stringify(jump), host, context.signal, logIn);
    } catch (error) {
      if (context.signal.aborted || !(error instanceof EngineFailure)) throw error;
      const { data } = error;
      const message = data.message.startsWith(`${jump.spec.host}: its jump host `)
        ? data.message.replace(jump.spec.host, host) // it is about one further away
        : `${host}: its jump host ${data.message}`;
      throw new EngineFailure({ ...data, host, message });
    }
  }
}
