# shellcheck shell=bash
# Of install.sh: the agent's own Python, and one release of the agent in a virtual environment of it.
# Reads home, archive, wheel, wheelhouse, requirements, check; sets python, python_id, release, unfinished.

find_python() { # sets python, python_id
  local name
  if [[ -z $archive ]]; then
    for name in python3 python3.13 python3.12 python3.11; do
      if python=$(type -P "$name") && suits "$python"; then
        python_id="$python $("$python" -V)"
        say "python: $("$python" -V), the board's own"
        return
      fi
    done
    archive=$(compgen -G "$HERE/cpython-*.tar.gz" | head -n 1 || true)
  fi
  if [[ -n $archive ]]; then
    python_id=$(sha256sum <"$archive")
    python_id=${python_id%% *}
    local known
    known=$(standalone "/$(basename "$archive")" 2)
    [[ -z $known || $known == "$python_id" ]] || fail "$archive is damaged: its sha256 is not $known" 'fetch it again'
  else
    python_id=$(standalone "$(uname -m) " 2)
    [[ -n $python_id ]] || fail "this board's Python is older than 3.11, and we know of none for $(uname -m)" \
      '--python ARCHIVE: an install_only .tar.gz of github.com/astral-sh/python-build-standalone'
  fi
  python=$home/python/${python_id:0:12}/bin/python3
  if [[ -x $python ]]; then
    say "python: $("$python" -V), unchanged"
  elif [[ -n $check ]]; then
    say "python: ${archive:-$(standalone "$python_id" 3)} would be unpacked"
  else
    [[ -n $archive ]] || fetch_python
    unpack_python
  fi
}

standalone() { # WORD FIELD: of the line of standalone-pythons.txt that has the word
  awk -v word="$1" -v field="$2" '!/^#/ && index($0, word) { print $field }' "$HERE/standalone-pythons.txt"
}

suits() { # PYTHON: is it one the agent runs under?
  "$1" -I -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

fetch_python() {
  local address
  address=$(standalone "$python_id" 3)
  archive=$home/python/${address##*/}
  say "python: fetching $address"
  if type -P curl >/dev/null; then
    curl --fail --silent --show-error --location --output "$archive" "$address"
  else
    wget --quiet --output-document="$archive" "$address"
  fi || fail "$address cannot be fetched" 'fetch it elsewhere, copy it beside install.sh, and call that again'
  [[ $(sha256sum <"$archive") == "$python_id "* ]] || fail "$address is not what it was: its sha256 is not $python_id" \
    'tell us; or give another with --python'
}

unpack_python() {
  local folder=$home/python/${python_id:0:12}
  unfinished=$folder.unfinished
  rm -rf "$unfinished"
  mkdir -p "$unfinished"
  tar -xzf "$archive" --no-same-owner -C "$unfinished" || fail "$archive cannot be unpacked" \
    'is it a whole install_only .tar.gz?'
  suits "$unfinished/python/bin/python3" || fail "the Python in $archive does not run here, or is not 3.11 to 3.13" \
    "it must be one for $(uname -m), e.g. $(standalone "$(uname -m) " 3)"
  rm -rf "$folder"
  mv "$unfinished/python" "$folder"
  rm -rf "$unfinished"
  unfinished=''
  say "python: $("$python" -V), unpacked from $archive"
}

make_release() {
  local digest
  digest=$({
    sha256sum <"$wheel"
    sha256sum <"$requirements"
    [[ -z $wheelhouse ]] || (cd "$wheelhouse" && sha256sum -- *.whl)
    printf '%s\n' "$python_id"
  } | sha256sum)
  local base=$home/releases/${digest:0:12}
  for release in "$base" "$base-2"; do
    if [[ -e $release/complete ]] && "$release/bin/agent" --version >/dev/null 2>&1; then
      say "release: $(basename "$wheel"), unchanged"
      return
    fi
  done
  release=$base
  if [[ $(readlink "$home/current") == "releases/${base##*/}" ]]; then
    release=$base-2 # it is damaged, and may be running all the same
  fi
  if [[ -n $check ]]; then
    say "release: $(basename "$wheel") would be installed from ${wheelhouse:-PyPI}"
    return
  fi
  unfinished=$release
  rm -rf "$release"
  "$python" -m venv --without-pip "$release"
  local what=(--quiet --no-input --disable-pip-version-check --only-binary=:all:)
  if [[ -n $wheelhouse ]]; then
    what+=(--isolated --no-index --find-links "$wheelhouse") # and from nowhere else, whatever pip is configured for
  fi
  pip install "${what[@]}" -r "$requirements" || fail "what the agent needs cannot be installed from ${wheelhouse:-PyPI}" \
    "a kit is made for one Python, this is $("$python" -V): python -m deploy.kit --python-version" \
    'without the internet it needs a --wheelhouse'
  pip install "${what[@]}" --no-deps "$wheel" || fail "$wheel cannot be installed" 'is it whole?'
  "$release/bin/agent" --version >/dev/null || fail 'the agent that was installed does not run' 'what it says is above'
  touch "$release/complete"
  unfinished=''
  say "release: $(basename "$wheel"), installed"
}

pip() { # Of the wheelhouse, so that the board needs none; else the Python's own, which knows --python from 22.3 on.
  local own
  own=$(compgen -G "$wheelhouse/pip-*.whl" | head -n 1 || true)
  if [[ -n $own ]]; then
    "$release/bin/python" -I "$own/pip" "$@"
  else
    "$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip, and the wheelhouse neither" \
      'sudo apt install python3-pip; or make the kit with python -m deploy.kit'
    "$python" -m pip --python "$release/bin/python" "$@"
  fi
}

remove_old() {
  local folder
  for folder in "$home"/releases/*; do
    [[ $folder == "$release" ]] || rm -rf "$folder"
  done
  for folder in "$home"/python/*; do
    [[ ! -e $folder || $python == "$folder"/* ]] || rm -rf "$folder"
  done
}
