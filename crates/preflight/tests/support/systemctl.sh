#!/bin/sh
# Stands in for systemd where that cannot run. Daemons run where $DAEMONS says so.
S=$ROOT/units; mkdir -p "$S"
verb=; units=; props=; quiet=
while [ $# -gt 0 ]; do case "$1" in
  -p) shift; props=$1 ;; -q|--quiet) quiet=1 ;; --) ;; -*) ;; *) if [ -z "$verb" ]; then verb=$1; else units="$units $1"; fi ;; esac; shift; done
file() { echo "/etc/systemd/system/$1"; }
value() { cat "$(file "$1")" "$(file "$1").d"/*.conf 2>/dev/null | sed -n "s/^$2=//p" | tail -n 1; }
case "$verb" in
  is-system-running) echo running ;;
  daemon-reload|reset-failed) ;;
  enable) for u in $units; do [ -e "$(file "$u")" ] || { echo "Unit $u not found" >&2; exit 1; }; : >"$S/$u.enabled"; done ;;
  disable) for u in $units; do rm -f "$S/$u.enabled"; done ;;
  is-enabled) for u in $units; do [ -e "$S/$u.enabled" ] || exit 1; done ;;
  is-active) for u in $units; do [ -e "$S/$u.active" ] || exit 3; done ;;
  is-failed) exit 1 ;;
  start) for u in $units; do
      [ -e "$S/$u.active" ] && continue
      [ -e "$(file "$u")" ] || { echo "Unit $u not found" >&2; exit 5; }
      for needed in $(value "$u" Requires); do systemctl start "$needed" || exit 1; done
      command=$(value "$u" ExecStart)
      case "$(value "$u" Type)$DAEMONS" in
        oneshot*) eval "$command" || exit 1 ;;
        notifyyes) setsid $command >"$S/$u.log" 2>&1 </dev/null & echo $! >"$S/$u.pid" ;;
      esac
      cat "$(file "$u")" "$(file "$u").d"/*.conf 2>/dev/null | cksum >"$S/$u.active"
    done ;;
  stop) for u in $units; do
      [ -e "$S/$u.active" ] || continue
      command=$(value "$u" ExecStop); [ -z "$command" ] || eval "$command"
      [ ! -e "$S/$u.pid" ] || { kill "$(cat "$S/$u.pid")"; timeout 20 tail --pid="$(cat "$S/$u.pid")" -f /dev/null; }
      rm -f "$S/$u.active" "$S/$u.pid"
    done ;;
  restart) systemctl stop $units; systemctl start $units ;;
  show) for u in $units; do
      l=not-found; a=inactive; e=
      [ ! -e "$(file "$u")" ] || { l=loaded; e=disabled; }
      [ ! -e "$S/$u.active" ] || a=active; [ ! -e "$S/$u.enabled" ] || e=enabled
      printf 'Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\n\n' "$u" "$l" "$a" "$e"
    done ;;
esac
