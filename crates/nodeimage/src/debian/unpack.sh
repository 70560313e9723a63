# Runs in mmdebstrap's hook. $1 is the root, $2 what is wanted, $3 the packages, $4 folders to leave out.
# The packages are fetched by the root's own apt and taken apart. None is installed: their scripts would make things that we do not want.
set -eu
root=$1 what=$2 packages=$3 drop=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
for package in $packages; do
    # A package that stands for the newest kernel depends on that one.
    case $package in
    linux-image-*)
        newest=$(apt-cache depends "$package" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
        package=${newest:-$package}
        ;;
    esac
    apt-get download -qq "$package"
done
for file in *.deb; do dpkg-deb -x "$file" parts; done
case $what in
modules)
    release=$(ls parts/lib/modules)
    for folder in $drop; do rm -rf "parts/lib/modules/$release/kernel/$folder"; done
    mkdir -p "$root/lib/modules" "$root/boot"
    cp -a "parts/lib/modules/$release" "$root/lib/modules/"
    cp -a "parts/boot/config-$release" "$root/boot/"
    chroot "$root" depmod "$release"
    ;;
parts)
    mkdir -p "$root/parts"
    cp -a parts/. "$root/parts/"
    # As dpkg's own list has it, but for what is installed: what lies beside the image says where its files come from.
    for file in *.deb; do
        dpkg-deb -f "$file" Package Version Architecture Source Maintainer Homepage
        echo "Status: unpack ok unpacked"
        echo
    done > "$root/parts/status"
    ;;
esac
