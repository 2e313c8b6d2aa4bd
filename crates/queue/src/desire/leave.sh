# Before a node is stopped: one that must leave the cluster leaves it, any other goes into maintenance first, when the
# queues can spare it. Everything ends in time; what could not be done is only said, for the stop comes in any case.
set -eu
# The hook's own output is seen in events only: what it says goes to the log of the server too.
say() { echo "$(date -u +%FT%TZ) preStop: $*" | tee /proc/1/fd/1 2> /dev/null || true; }

# One program, because each start of the command takes longer than all that is asked. It answers with one word.
#
# The mark is set first, and another's mark ends the wait: when all are stopped at once nobody has to wait for anybody.
# Queues of one or two replicas cannot get safer by waiting and are not waited for.
# When the server does not run (starting, or paused without a majority) there is nothing to move.
#
# Maintenance ends connections by the protocol's own farewell, and what a client sends before it has read that is thrown
# away: messages whose publisher does not ask for confirmations would be lost. So clients are let go first: the server stops
# writing, which they see as the end of the connection, and reads on until they have closed their side. Those of AMQP 1.0
# are not: they get answers all the time, and a server that cannot write reads no more. Those that do not close are cut off,
# because the maintenance of 3.13 does not get over them. What came is given a moment to be copied: leaders of queues go next.
answer=$(timeout 85 rabbitmqctl --quiet eval '
  LetGo = fun() ->
    try
      rabbit_maintenance:suspend_all_client_listeners(),
      Until = erlang:monotonic_time(millisecond) + 5000,
      Wait = fun Again() ->
        Sockets = [{Connection, Port} || Connection <- pg_local:get_members(rabbit_connections),
          {links, Links} <- [erlang:process_info(Connection, links)],
          Port <- Links, is_port(Port)],
        [gen_tcp:shutdown(Port, write) || {_, Port} <- Sockets],
        case Sockets =/= [] andalso erlang:monotonic_time(millisecond) < Until of
          true -> timer:sleep(50), Again();
          false -> [catch rabbit_reader:shutdown(Connection, "the node stops") || {Connection, _} <- Sockets]
        end
      end,
      Left = Wait(),
      timer:sleep(300),
      logger:notice("let clients go; ~b did not close their connections", [length(Left)])
    catch _:Why -> logger:warning("could not let clients go: ~p", [Why])
    end
  end,
  Answer = case rabbit:is_running() of
    false -> "stopped";
    true ->
      Others = rabbit_nodes:list_members() -- [node()],
      Leaving = case rabbit_runtime_parameters:value_global(list_to_atom("temporal-stack-leaving")) of
        Names when is_list(Names) -> lists:member(atom_to_binary(node()), Names);
        _ -> false
      end,
      case Leaving of
        true when Others =/= [] -> LetGo(), "leave";
        _ ->
          rabbit_maintenance:mark_as_being_drained(),
          Critical = fun() ->
            lists:any(fun(Queue) ->
                case maps:get(nodes, amqqueue:get_type_state(Queue)) of
                  Replicas when is_map(Replicas) -> map_size(Replicas) > 2;
                  Replicas -> length(Replicas) > 2
                end
              end,
              rabbit_quorum_queue:list_with_minimum_quorum() ++ rabbit_stream_queue:list_with_minimum_quorum())
          end,
          Alone = fun() ->
            lists:all(fun(Node) -> not rabbit_maintenance:is_being_drained_local_read(Node) end, Others)
          end,
          Until = erlang:monotonic_time(second) + 60,
          Wait = fun Again() ->
            case Others =/= [] andalso Alone() andalso Critical() of
              true -> case erlang:monotonic_time(second) < Until of
                true -> timer:sleep(500), Again();
                false -> "critical"
              end;
              false -> "drained"
            end
          end,
          Waited = Wait(),
          LetGo(),
          rabbit_maintenance:drain(),
          Waited
      end
  end,
  io:format("~s~n", [Answer]).' 2>&1 | grep -o -m 1 -x 'stopped\|leave\|critical\|drained') || answer=unknown

case $answer in
leave)
  say "leaving the cluster"
  # The server does both by itself: a node that has stopped but not left would keep a majority from the others.
  # Should it be cut short nevertheless, the mark tells the next start that what is here may be half.
  touch "$RABBITMQ_MNESIA_BASE/leaving"
  # Streams have a coordinator beside their queues; it would count this node for its majority for ever.
  if timeout 55 rabbitmqctl --quiet eval '
    catch rabbit_stream_coordinator:forget_node(node()),
    ok = rabbit:stop(),
    ok = rabbit_db:reset().'; then
    mv "$RABBITMQ_MNESIA_BASE/leaving" "$RABBITMQ_MNESIA_BASE/left"
    say "left the cluster"
  else
    say "could not leave the cluster: another member must forget $RABBITMQ_NODENAME"
  fi
  ;;
critical) say "stopping although queues lose their majority: another replica did not return within a minute" ;;
drained) say "in maintenance" ;;
stopped) say "the server is not running" ;;
*) say "the server does not answer" ;;
esac
