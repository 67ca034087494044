#!/usr/bin/env bash
# Makes this board an agent of boardfit: a systemd service on loopback, behind a token. Needs no internet if the kit has
# all it needs (deploy/README.md). bash and not sh, for arrays and pipefail: every board has it (Ubuntu 18.04: 4.4).
#
#   $home/python/<digest>/        a standalone CPython, where the board's own is older than 3.11
#   $home/releases/<digest>/      a virtual environment with one version of the agent; `complete` is written last
#   $home/current -> releases/..  what the service runs: an upgrade is one rename of this link
#   $data, $token                 models and token: they stay through upgrades, and through --uninstall without --purge
#
# BOARDFIT_ROOT=DIR stands for / in all paths of the system's service: for tests.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as `sh install.sh`; no shell has read on from here yet
set +o posix                                       # where sh is bash
set -euo pipefail
umask 022

readonly SERVICE=boardfit-agent
readonly FREE_MIB=600 # a release takes 150, a standalone Python 300, and an upgrade has two of each for a while
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=install/release.sh
. "$HERE/install/release.sh"
# shellcheck source=install/service.sh
. "$HERE/install/service.sh"

usage() {
  cat <<'END'
usage: sudo ./install.sh --profile NAME [options]      make this board an agent, or upgrade it
       sudo ./install.sh --uninstall [--purge]         remove it; its models and token too with --purge

  --profile NAME     what kind of board this is, e.g. jetson-nano, orin-nano        [as installed]
  --port N           on loopback                                                    [as installed, or 8470]
  --user NAME        whom the service runs as, never root                           [as installed, or who called sudo]
  --python ARCHIVE   a standalone CPython for the agent, an install_only .tar.gz    [the board's where it is 3.11 to
                     3.13, else the one beside this script, else it is fetched]
  --wheelhouse DIR   where the agent's wheels are; without one they come from PyPI  [wheels/ beside this script]
  --wheel FILE       boardfit's own                                                 [the one beside this script]
  --allow-tuning     let the service run nvpmodel and jetson_clocks as root, for `host tune --apply`
  --check            say what would be done, and do nothing (also: --dry-run)

Without root it becomes a service of the user who calls it, under ~/.local.
exit status: 0 done, or nothing to do; 1 failed, and the board is as it was; 2 wrong command line;
             3 installed, but the runtime of the profile, or its Edge TPU, is missing: what and the remedy are printed
END
}

say() { printf '%s\n' "$@"; } # LINE...

fail() { # MESSAGE HINT...
  printf 'install.sh: %s\n' "$1" >&2
  printf '  hint: %s\n' "${@:2}" >&2
  exit 1
}

misused() {
  printf 'install.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

profile='' port='' user='' archive='' wheelhouse='' wheel='' tuning='' check='' uninstall='' purge=''

read_options() {
  while (($#)); do
    case $1 in
      --profile | --port | --user | --python | --wheelhouse | --wheel)
        (($# > 1)) && [[ -n $2 ]] || misused "$1 needs a value"
        case $1 in
          --python) archive=$2 ;;
          *) printf -v "${1#--}" %s "$2" ;;
        esac
        shift
        ;;
      --allow-tuning) tuning=1 ;;
      --check | --dry-run) check=1 ;;
      --uninstall) uninstall=1 ;;
      --purge) purge=1 ;;
      -h | --help) usage && exit 0 ;;
      *) misused "there is no option $1" ;;
    esac
    shift
  done
  [[ -z $purge || -n $uninstall ]] || misused '--purge goes with --uninstall'
}

settle_places() {
  local root=${BOARDFIT_ROOT:-}
  if [[ $(id -u) == 0 ]]; then
    systemctl=(systemctl) journalctl=(journalctl --unit)
    home=$root/opt/boardfit data=$root/var/lib/boardfit token=$root/etc/boardfit/token
    unit=$root/etc/systemd/system/$SERVICE.service
    sudoers=$root/etc/sudoers.d/$SERVICE
  else
    systemctl=(systemctl --user) journalctl=(journalctl --user-unit)
    home=$HOME/.local/lib/boardfit data=$HOME/.local/share/boardfit-agent token=$HOME/.config/boardfit/agent.token
    unit=$HOME/.config/systemd/user/$SERVICE.service
    sudoers=''
    [[ -z $tuning ]] || fail '--allow-tuning is for the service of the system' 'call install.sh with sudo'
  fi
  if [[ -n $sudoers && -e $sudoers ]]; then
    tuning=1
  fi
}

in_unit() { sed -n "s/^$1//p" "$unit" 2>/dev/null || true; }

settle_profile() {
  local from_before
  from_before=$(in_unit 'ExecStart=.* --profile ')
  profile=${profile:-${from_before%% *}}
  [[ -n $profile ]] || misused "what kind of board this is must be said once: --profile NAME; this is: $(
    tr -d '\0' 2>/dev/null </sys/firmware/devicetree/base/model || uname -m
  )"
  from_before=$(in_unit 'ExecStart=.* --port ')
  port=${port:-${from_before%% *}}
  port=${port:-8470}
  [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || misused "$port is no port"
}

settle_user() {
  if [[ -n $sudoers ]]; then
    user=${user:-$(in_unit User=)}
    user=${user:-${SUDO_USER:-root}}
  else
    [[ -z $user || $user == "$(id -un)" ]] || fail "only root can run the service as $user" 'call install.sh with sudo'
    user=$(id -un)
  fi
  id "$user" >/dev/null 2>&1 || fail "there is no user $user" "sudo useradd --system --create-home $user"
  # A worker that root owns could take an Edge TPU that is in use, and every fault of a runtime would be root's.
  if [[ -n $sudoers && $(id -u "$user") == 0 ]]; then
    check_profile "$(type -P python3 || true)" # all of the command line is told first, and this is not on it
    fail 'the service must not run as root' '--user NAME, e.g. the one you log in with'
  fi
  groups=''
  local group
  for group in video render apex; do # of CUDA's devices (render from JetPack 6 on), of the Edge TPU's
    if getent group "$group" >/dev/null; then
      groups+="${groups:+ }$group"
    fi
  done
}

settle_files() {
  local found
  if [[ -z $wheel ]]; then
    mapfile -t found < <(compgen -G "$HERE/boardfit-*.whl" || true)
    ((${#found[@]} == 1)) || fail "there are ${#found[@]} wheels of boardfit beside this script, not one" '--wheel FILE'
    wheel=${found[0]}
  fi
  [[ -z $wheelhouse && -d $HERE/wheels ]] && wheelhouse=$HERE/wheels
  for found in "$wheel" "$wheelhouse" "$archive"; do
    [[ -z $found || -r $found ]] || fail "$found cannot be read" 'is the path right?'
  done
  # With digests where we have them for this kind of machine; its versions are those that suit the oldest board.
  requirements=$HERE/wheels-$(uname -m).lock
  [[ -e $requirements ]] || requirements=$HERE/agent-requirements.txt
}

check_profile() { # PYTHON, any that runs: before the minutes an installation takes on a board
  local known
  [[ -x $1 ]] || return 0
  known=$("$1" -I - "$wheel" <<'END'
import pathlib, sys, zipfile
names = map(pathlib.PurePath, zipfile.ZipFile(sys.argv[1]).namelist())
print(*sorted(name.stem for name in names if name.match("deploy/boards/*.toml")))
END
  ) || fail "$wheel cannot be read" 'is it a whole wheel of boardfit?'
  [[ " $known " == *" $profile "* ]] || fail "there is no profile $profile" "there are: $known"
}

look_at_the_board() {
  local state
  state=$("${systemctl[@]}" is-system-running 2>/dev/null || true)
  [[ -n $state && $state != offline ]] || fail 'systemd does not run here' \
    'the agent can be started by hand: agent serve --help' \
    'over ssh without root: it needs a full login (sudo loginctl enable-linger USER helps)'
  local place=$home free_mib
  until [[ -d $place ]]; do place=$(dirname "$place"); done
  free_mib=$(df -Pk "$place" | awk 'NR == 2 { print int($4 / 1024) }')
  ((free_mib >= FREE_MIB)) || [[ -e $home/current ]] || fail "$place has $free_mib MiB free of $FREE_MIB" \
    'make room, e.g. sudo apt clean; or use a larger card'
}

say_goodbye() {
  local name host copy
  name=$(uname -n | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9\n' -)
  host=$(hostname -I 2>/dev/null | awk '{ print $1 }' || true)
  host=${SUDO_USER:-$(id -un)}@${host:-$(uname -n)}
  copy="scp $host:$token $name.token"
  if [[ $user != "${SUDO_USER:-$(id -un)}" ]]; then
    say '' "Let yourself read the token, here:" "  sudo install -m 600 -o ${SUDO_USER:-root} $token ~${SUDO_USER:-root}/$name.token"
    copy="scp $host:$name.token ."
  fi
  say ''
  say 'On your computer:'
  say "  $copy"
  say "  ssh -N -L $port:127.0.0.1:$port $host &"
  say "  host boards add $name --profile $profile --address http://127.0.0.1:$port --token-file $name.token"
  say "  host verify --board $name"
  if [[ -z $sudoers ]]; then
    say '' "It ends when $user logs out, unless: sudo loginctl enable-linger $user"
  fi
}

remove_all() {
  if [[ -n $check ]]; then
    say "$SERVICE, $home, $unit would be removed${purge:+, and $data, $token}"
    return
  fi
  if [[ -e $unit ]]; then
    "${systemctl[@]}" --quiet disable "$SERVICE" || true
    "${systemctl[@]}" stop "$SERVICE" || true
    rm -f "$unit"
    "${systemctl[@]}" daemon-reload
  fi
  rm -rf "$home"
  [[ -z $sudoers ]] || rm -f "$sudoers"
  if [[ -n $purge ]]; then
    rm -rf "$data" "$token"
    rmdir "$(dirname "$token")" 2>/dev/null || true
    say 'removed, with models and token'
  else
    say "removed; models and token are kept: $data, $token"
  fi
}

main() {
  unfinished='' switching='' restarted='' before='' unit_before='' verdict=0
  read_options "$@"
  settle_places
  if [[ -n $uninstall ]]; then
    remove_all
    return
  fi
  settle_profile
  settle_files
  settle_user
  look_at_the_board
  trap undo EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if [[ -z $check ]]; then
    mkdir -p "$home/releases" "$home/python"
    exec 9>>"$home/.lock"
    flock -n 9 || fail 'another install.sh is at work' 'let it end'
  fi
  find_python
  check_profile "$python" # with --check it may be still in its archive
  make_release
  if [[ -n $check ]]; then
    say "service: $SERVICE as $user on 127.0.0.1:$port, profile $profile, groups: ${groups:-none}"
    return
  fi
  read_profile
  keep_data_and_token
  allow_tuning
  switch
  prove
  remove_old
  say_goodbye
  return "$verdict"
}

main "$@"
