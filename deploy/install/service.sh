# shellcheck shell=bash
# Of install.sh: data, token and unit, the switch to a release, the proof that it answers, and the way back.
# Reads home, data, token, unit, sudoers, systemctl, journalctl, user, groups, profile, port, tuning, python, release; sets runtime,
# device, environment, before, unit_before, switching, restarted, verdict.

read_profile() { # sets runtime, device, environment
  local facts
  facts=$("$release/bin/python" -I - "$profile" <<'END'
import sys
from contract.profile import BrokenProfileError, read_profile
try:
    profile = read_profile(sys.argv[1])
except BrokenProfileError as error:
    sys.exit(f"install.sh: {error}")
print(profile.runtime)
print(profile.one_owner.device if profile.one_owner else "-")
for name, value in profile.worker_environment.items():  # the agent decodes images: its own numpy needs them, too
    print('Environment="{}={}"'.format(name, value.replace("%", "%%")))
END
  ) || fail "the profile $profile cannot be read" 'is the wheel whole?'
  runtime=${facts%%$'\n'*}
  facts=${facts#*$'\n'}
  device=${facts%%$'\n'*}
  environment=${facts#"$device"}
  environment=${environment#$'\n'}
}

rendered_unit() {
  local text privileges=yes homes=read-only target=multi-user.target
  text=$(<"$HERE/$SERVICE.service")
  if [[ -n $tuning ]]; then
    privileges=no homes=no # sudo gains some, and jetson_clocks keeps the state of the fan in root's
  fi
  if [[ -z $sudoers ]]; then
    target=default.target
    text=$(sed '/^# Of the system.s service alone/,/^$/d' <<<"$text")
  fi
  text=${text//@HOME@/"$home"}
  text=${text//@PORT@/"$port"}
  text=${text//@PROFILE@/"$profile"}
  text=${text//@DATA@/"$data"}
  text=${text//@TOKEN@/"$token"}
  text=${text//@ENVIRONMENT@/"$environment"}
  text=${text//@NO_NEW_PRIVILEGES@/"$privileges"}
  text=${text//@PROTECT_HOME@/"$homes"}
  text=${text//@USER@/"$user"}
  text=${text//@GROUPS@/"$groups"}
  text=${text//@TARGET@/"$target"}
  printf '%s\n' "$text"
}

owned() { # MODE FILE: it belongs to the service's user, and nobody else can use it
  if [[ $(stat -c %U:%a "$2") != "$user:$1" ]]; then
    chown -R "$user:" "$2"
    chmod "$1" "$2"
  fi
}

keep_data_and_token() {
  mkdir -p "$data"
  owned 700 "$data"
  if [[ -s $token ]]; then
    say 'token: unchanged'
  else
    mkdir -p "$(dirname "$token")"
    (umask 077 && od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' >"$token.new") # 64 hexadecimal digits
    mv "$token.new" "$token"
    say 'token: made'
  fi
  owned 600 "$token"
}

allow_tuning() { # The commands of agent/tuning.py, exactly: one more argument could overwrite any file as root.
  [[ -n $tuning ]] || return 0
  local rule="$user ALL=(root) NOPASSWD: /usr/sbin/nvpmodel -m [0-9]"
  rule+=', /usr/bin/jetson_clocks --store /run/boardfit-clocks.conf, /usr/bin/jetson_clocks ""'
  if [[ -e $sudoers && $(<"$sudoers") == "$rule" ]]; then
    return
  fi
  mkdir -p "$(dirname "$sudoers")"
  (umask 337 && printf '%s\n' "$rule" >"$sudoers.new")
  if ! visudo -cqf "$sudoers.new"; then
    rm -f "$sudoers.new"
    fail "sudo does not take the rule for $user" 'install.sh can be called without --allow-tuning'
  fi
  mv "$sudoers.new" "$sudoers" # sudo reads no file whose name has a dot
  say 'tuning: allowed'
}

switch() { # The one moment in which the service changes; whatever ends this script before it is over is undone.
  before=$(readlink "$home/current" || true)
  unit_before=$(cat "$unit" 2>/dev/null || true)
  local wanted
  wanted=$(rendered_unit)
  if [[ $before == "releases/${release##*/}" && $unit_before == "$wanted" ]] && runs; then
    say "service: $SERVICE, unchanged"
    return
  fi
  switching=1
  put_unit "$wanted"
  put_link "releases/${release##*/}"
  "${systemctl[@]}" daemon-reload
  "${systemctl[@]}" --quiet enable "$SERVICE"
  start_anew
  restarted=1
}

runs() { "${systemctl[@]}" --quiet is-enabled "$SERVICE" && "${systemctl[@]}" --quiet is-active "$SERVICE"; }

start_anew() { # also one that was given up after its tries, which systemd would not start
  "${systemctl[@]}" reset-failed "$SERVICE" 2>/dev/null || true
  "${systemctl[@]}" restart "$SERVICE"
}

put_unit() {
  mkdir -p "$(dirname "$unit")"
  printf '%s\n' "$1" >"$unit.new"
  mv "$unit.new" "$unit"
}

put_link() {
  ln -sfn "$1" "$home/current.new"
  mv -T "$home/current.new" "$home/current"
}

prove() {
  local status=0
  ask_the_agent || status=$?
  if ((status == 3)) && [[ -z $restarted ]]; then
    say 'asking again, of a service that has just started'
    start_anew # what was missing when it last looked may be there by now
    status=0
    ask_the_agent || status=$?
  fi
  if ((status != 0 && status != 3)); then
    "${journalctl[@]}" "$SERVICE" --lines 20 --no-pager 2>/dev/null || true
    fail 'the service does not answer as it should' 'what it says is above; the board is as it was'
  fi
  if [[ -n $switching ]]; then
    switching=''
    say "service: $SERVICE, started"
  fi
  verdict=$status
}

ask_the_agent() { # status 0: it can serve; 3: its runtime is missing; 1: it does not answer
  local status tries said what=(--port "$port" --token-file "$token" --runtime "$runtime")
  [[ $device == - ]] || what+=(--device "$device" --user "$user" --groups "$groups" --root "${BOARDFIT_ROOT:-/}")
  for tries in {1..45}; do # of 2 s each; one that has failed for good is not waited for
    status=0
    said=$("$release/bin/python" -I -m deploy.verdict "${what[@]}") || status=$?
    if ((status != 1 || tries == 45)) || "${systemctl[@]}" --quiet is-failed "$SERVICE"; then
      break
    fi
  done
  say "$said"
  return "$status"
}

undo() { # At every end: removes what is half done, and has the version from before run again.
  local status=$?
  [[ -z $unfinished ]] || rm -rf "$unfinished"
  if [[ -n $switching ]]; then
    [[ $before == "releases/${release##*/}" ]] || rm -rf "$release"
    if [[ -n $before ]]; then
      put_link "$before"
      put_unit "$unit_before"
      "${systemctl[@]}" daemon-reload || true
      start_anew || true
    else
      "${systemctl[@]}" --quiet disable "$SERVICE" || true
      "${systemctl[@]}" stop "$SERVICE" || true
      rm -f "$unit" "$home/current"
      "${systemctl[@]}" daemon-reload || true
    fi
  fi
  exit "$status"
}
