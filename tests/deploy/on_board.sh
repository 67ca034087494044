# What test_board.py runs as root on a booted root file system; it leaves what it finds in /found.
set -euxo pipefail
exec >/found/log 2>&1
trap 'echo "$?" >/found/status; systemctl --no-block poweroff' EXIT

agent() { systemctl show --property=MainPID --value boardfit-agent; }
status() { sed -n "s/^$1:\s*//p" "/proc/$(agent)/status"; }
answer() { curl --silent --output /dev/null --write-out '%{http_code}' "$@" http://127.0.0.1:8470/v1/agent; }
install() { sudo -u owner sudo -n "/kits/$1/install.sh" "${@:2}"; }
fact() { printf '%s\t%s\n' "$1" "$2" >>/found/facts; }

useradd --create-home owner
echo 'owner ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/owner

install first --profile test-board
fact enabled "$(systemctl is-enabled boardfit-agent)"
fact user "$(ps -o user= -p "$(agent)")"
fact groups "$(for number in $(status Groups); do getent group "$number" | cut -d: -f1; done | sort | xargs)"
fact no_new_privileges "$(status NoNewPrivs)"
fact groups_there "$(getent group owner video render apex | cut -d: -f1 | sort | xargs)"
fact oom_score_adj_allowed "$( (echo -500 >/proc/self/oom_score_adj) 2>/dev/null && echo -500 || echo 0)" # to root here
fact oom_score_adj "$(cat "/proc/$(agent)/oom_score_adj")"
fact token "$(stat -c '%U %a' /etc/boardfit/token)"
fact writes_etc "$(nsenter --mount --target "$(agent)" touch /etc/x 2>/dev/null && echo yes || echo no)"
fact writes_home "$(nsenter --mount --target "$(agent)" touch /home/owner/x 2>/dev/null && echo yes || echo no)"
fact writes_data "$(nsenter --mount --target "$(agent)" touch /var/lib/boardfit/x 2>/dev/null && echo yes || echo no)"
fact sees_tmp "$(touch /tmp/mine && nsenter --mount --target "$(agent)" ls /tmp)"
fact without_token "$(answer)"
fact with_token "$(answer --header "Authorization: Bearer $(cat /etc/boardfit/token)")"

before=$(agent)
install first
fact unchanged "$([[ $(agent) == "$before" ]] && echo yes)"

kill -KILL "$before"
until [[ $(agent) != "$before" && $(answer) == 401 ]]; do sleep 0.2; done
fact killed restarted

install second
fact upgraded "$(curl --silent --header "Authorization: Bearer $(cat /etc/boardfit/token)" http://127.0.0.1:8470/v1/agent)"
before=$(agent)
refused=0
install broken || refused=$?
fact broken "$refused"
until [[ $(answer) == 401 ]]; do sleep 0.2; done
fact after_broken "$([[ $(agent) != "$before" && $(systemctl is-active boardfit-agent) == active ]] && echo active)"

install second --allow-tuning
fact tuning "$(sudo -u owner sudo -n -l | grep -c 'NOPASSWD: /usr/sbin/nvpmodel -m \[0-9\], /usr/bin/jetson_clocks --store')"
fact no_new_privileges_then "$(status NoNewPrivs)"

install second --uninstall
fact uninstalled "$(systemctl is-active boardfit-agent || true)"
fact kept "$(ls /etc/boardfit/token)"
