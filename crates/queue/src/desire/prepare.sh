# Prepares a node before each start: its cookie, its configuration, and, when it has no data, the cluster that it joins.
#
# RabbitMQ's own discovery decides by who answers first, so a node that lost its volume could found a second cluster. Here
# only node 0 founds one, and only when nobody knows of a cluster; any other blank node waits for a member that runs.
set -eu
given=/run/temporal-stack
data=$RABBITMQ_MNESIA_BASE/$RABBITMQ_NODENAME

# The node's own name, for itself: a name server knows it only after the pod has its address, and not any more when the
# Service is deleted with everything else. Whoever stops the node by a command would wait for an answer then.
host=${RABBITMQ_NODENAME#*@}
# An address of IPv6 as Erlang writes it: all eight parts, "::" among them.
tuple() {
  local IFS=: left right text=
  left=(${1%%::*})
  right=()
  case $1 in *::*) right=(${1#*::}) ;; esac
  while [ $((${#left[@]} + ${#right[@]})) -lt 8 ]; do left+=(0); done
  for part in "${left[@]}" "${right[@]}"; do text=$text,16#$part; done
  echo "{${text#,}}"
}
# Where the pod's address is of IPv6, nodes and commands find each other over IPv6.
rm -f "$RABBITMQ_CONF_ENV_FILE"
{
  case $POD_IP in
  *:*)
    cat > "$RABBITMQ_CONF_ENV_FILE" << CONF
RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS -proto_dist inet6_tcp"
RABBITMQ_CTL_ERL_ARGS="-proto_dist inet6_tcp"
CONF
    echo "{inet6, true}."
    echo "{host, $(tuple "$POD_IP"), [\"$host\"]}."
    ;;
  *) echo "{host, {${POD_IP//./,}}, [\"$host\"]}." ;;
  esac
  echo "{lookup, [file, native]}."
} > "$ERL_INETRC"

# Init containers run again in the same pod: -f replaces what may not be written.
umask 077
tr -d '\r\n' < $given/cookie/erlang-cookie > "$HOME/.erlang.cookie.new"
chmod 0400 "$HOME/.erlang.cookie.new"
mv -f "$HOME/.erlang.cookie.new" "$HOME/.erlang.cookie"

cp -f $given/config/rabbitmq.conf $given/config/enabled_plugins /etc/rabbitmq/
mkdir -p /etc/rabbitmq/conf.d
rm -f /etc/rabbitmq/conf.d/*
# Only a node that founds a cluster reads these: they make the first user. The password has letters and digits only, for a #
# would begin a comment.
cat > /etc/rabbitmq/conf.d/10-administrator.conf << CONF
default_user = $(cat $given/administrator/username)
default_pass = $(cat $given/administrator/password)
default_user_tags.administrator = true
# Messages that are moved keep the name of who published them.
default_user_tags.impersonator = true
CONF
# Unlike the port for applications, these two would listen on IPv4 alone. "::" is both, where the pod has IPv6 at all.
if grep -q . /proc/net/if_inet6 2> /dev/null; then
  printf '%s\n' "management.tcp.ip = ::" "prometheus.tcp.ip = ::" > /etc/rabbitmq/conf.d/15-families.conf
fi

# The server would only say that it could not start, and would do so again and again.
plugins=$(dirname "$(readlink -f "$(command -v rabbitmq-server)")")/../plugins
status=0
ERL_LIBS=$plugins timeout 30 erl -noinput -boot start_clean +S 1:1 -kernel logger_level none -eval '
  [Plugins | Files] = init:get_plain_arguments(),
  Stop = fun(Errors) ->
    [io:format("~ts~n", [cuttlefish_error:xlate(Error)]) || Error <- Errors],
    halt(3)
  end,
  Schema = cuttlefish_schema:files(filelib:wildcard(Plugins ++ "/*/priv/schema/*.schema")),
  case cuttlefish_conf:files(Files) of
    {errorlist, Errors} -> Stop(Errors);
    Given ->
      case cuttlefish_generator:map(Schema, Given) of
        {error, _, {errorlist, Errors}} -> Stop(Errors);
        _ -> halt(0)
      end
  end.' -extra "$plugins" /etc/rabbitmq/rabbitmq.conf /etc/rabbitmq/conf.d/*.conf \
  > /tmp/configuration 2>&1 || status=$?
case $status in
0) ;;
3)
  say "rabbitmq.conf is not valid:"
  cat /tmp/configuration
  exit 1
  ;;
*) say "rabbitmq.conf could not be checked" ;;
esac

# The others find the node by its name, which is in DNS a little after the pod has its address.
until getent hosts "$host" > /dev/null; do
  say "waiting until $host has an address"
  sleep 1
done

# What a finished start has written: `rabbit_serial`, which a reset deletes, but so does the change from Mnesia to Khepri;
# and a directory for each virtual host. With neither there was never a message here, whatever is left of a start or a
# join that was cut short. `left` is from a leave that was completed.
has_data() { exists "$1/rabbit_serial" || has_entries "$1/msg_stores/vhosts"; }
if has_data "$data" && ! exists "$RABBITMQ_MNESIA_BASE/left"; then
  blank=
else
  blank=yes
fi

# The other members that the controller knows of. It may write them while this node waits.
known=
read_members() {
  known=
  if exists "$given/members/members"; then
    known=$(grep -v -x -F -e "$RABBITMQ_NODENAME" -e "" "$given/members/members") || [ $? = 1 ] || {
      say "$given/members/members cannot be read"
      exit 1
    }
  fi
}
read_members

# These; else all that there may be.
others() {
  if [ -n "$known" ]; then
    echo "$known"
  else
    for ordinal in 0 1 2 3 4; do
      echo "${RABBITMQ_NODENAME%%"$POD_NAME"*}${POD_NAME%-*}-$ordinal${RABBITMQ_NODENAME#*"$POD_NAME"}"
    done | grep -v -x -F "$RABBITMQ_NODENAME"
  fi
}

# Tried first, because a command takes longer to find that there is nobody.
is_up() { timeout 1 bash -c ": < /dev/tcp/${1#*@}/25672" 2> /dev/null; }

# Prints what the server there says of itself: "<second of its start> <member> <member>...".
ask() {
  timeout 30 rabbitmqctl --quiet --node "$1" eval '
    true = rabbit:is_running(),
    Start = erlang:system_info(start_time) + erlang:time_offset(),
    Names = [[" ", atom_to_list(Node)] || Node <- rabbit_nodes:list_members()],
    io:format("~b~s~n", [erlang:convert_time_unit(Start, native, second), lists:flatten(Names)]).' \
    2> /dev/null | head -1 | grep '^[0-9]'
}

# Nothing that may be of value is removed. Data of another node cannot be used under this name, and are whole: they were restored
# here, or the volume was given to the wrong node. What is left of this node after a leave is set aside.
make_blank() {
  local other aside
  say "$RABBITMQ_NODENAME has no data"
  # A directory that cannot be listed must not look like one without others.
  has_entries "$RABBITMQ_MNESIA_BASE" || true
  for other in "$HOME"/* "$RABBITMQ_MNESIA_BASE"/*; do
    case $other in "$data" | */lost+found) continue ;; esac
    if has_data "$other"; then
      say "refusing to start empty: the volume has data of ${other##*/}, not of this node; restore it under that name and namespace," \
        "or delete PersistentVolumeClaim/data-$POD_NAME and this pod to start empty"
      exit 1
    fi
  done
  if has_data "$data"; then
    aside=$RABBITMQ_MNESIA_BASE.set-aside-$(date -u +%Y%m%dT%H%M%SZ)
    mv -T "$RABBITMQ_MNESIA_BASE" "$aside"
    say "set aside the data that this node had before it left the cluster: $aside"
    # For the status of the pod, where the controller finds it.
    echo "the data that $RABBITMQ_NODENAME had before it left the cluster were set aside on its volume: $aside" > /dev/termination-log || true
  else
    rm -rf "$data" "$data-"* "$data."* "$RABBITMQ_MNESIA_BASE/left" "$RABBITMQ_MNESIA_BASE/leaving"
  fi
  mkdir -p "$RABBITMQ_MNESIA_BASE"
}

# A leave was cut short. Where a member runs and has let this node go, what is left here is worth nothing; where one is
# only up, it may miss this node for its majority.
while [ -z "$blank" ] && exists "$RABBITMQ_MNESIA_BASE/leaving"; do
  read_members
  for peer in $(others); do
    is_up "$peer" || continue
    answer=$(ask "$peer") || answer="up $RABBITMQ_NODENAME"
    case " $answer " in
    *" $RABBITMQ_NODENAME "*) rm -f "$RABBITMQ_MNESIA_BASE/leaving" ;;
    *) blank=yes ;;
    esac
    continue 2
  done
  say "waiting for another member to report whether this node has left"
  sleep 1
done

if [ -z "$blank" ]; then
  say "found the data of $RABBITMQ_NODENAME"
  exit 0
fi
make_blank

said=
while :; do
  read_members
  silent=
  for peer in $(others); do
    is_up "$peer" || continue
    answer=$(ask "$peer") || { silent="$silent $peer" && continue; }
    read -r started members <<< "$answer"
    case " $members " in
    *" $RABBITMQ_NODENAME "*)
      say "$peer lists a former node of this name: removing it, because its data are lost"
      timeout 60 rabbitmqctl --quiet --node "$peer" forget_cluster_node "$RABBITMQ_NODENAME" || continue
      ;;
    esac
    # Of two single nodes discovery joins the one that started first by the clocks of their machines.
    while [ "$(date +%s)" -le "$((started + 1))" ]; do
      say "the clock of this machine is behind that of $peer: waiting"
      sleep 1
    done
    say "joining $peer"
    cat > /etc/rabbitmq/conf.d/20-peer.conf << CONF
cluster_formation.classic_config.nodes.1 = $peer
cluster_formation.discovery_retry_limit = 1000000
cluster_formation.discovery_retry_interval = 1000
CONF
    exit 0
  done
  if [ "${POD_NAME##*-}" = 0 ] && [ -z "$known" ]; then
    say "founding a cluster"
    exit 0
  fi
  now="waiting for one of: $(others | tr '\n' ' ')${silent:+(starting, without a majority, or with another cookie:$silent)}"
  [ "$now" = "$said" ] || say "$now"
  said=$now
  sleep 1
done
