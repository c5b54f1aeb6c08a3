#!/usr/bin/env bash
# Everything a command in the container needs: ROS, the built workspace, the Python environment. Then the command itself.
set -eo pipefail

ros="${ROS_ROOT:-/opt/ros/${ROS_DISTRO:?ROS_DISTRO is not set}}"
for setup in "$ros/setup.bash" "${MOBILE_VLA_INSTALL:?MOBILE_VLA_INSTALL is not set}/local_setup.bash"; do
    if [[ ! -r "$setup" ]]; then
        echo "entrypoint: $setup is missing; build the image again" >&2
        exit 2
    fi
    # shellcheck source=/dev/null
    source "$setup"
done
export PATH="${MOBILE_VLA_VENV:?MOBILE_VLA_VENV is not set}/bin:$PATH"

# exec: the command gets the container's signals itself, and so its chance to publish a last zero.
exec "$@"
