"""What the keyboard program writes on its terminal."""

from __future__ import annotations

from mobile_vla.config.action_space import Velocity

HELP = """
  hold to move:  w s  forward, backward    a d  turn        arrows do the same; u i o j k l m , . also turn while moving
                 A D  sideways (Shift and a turning key, on a base that can: --lateral-mps)
  SPACE  emergency stop    r  reset it    e  arm, disarm    h  hand back to autonomy
  k  stand still           + -  speed     q  quit (disarms while you have control)

"""
STOPPED = "emergency stop: the robot is stopped, and stays so until the stop is reset and it is armed again"


def live_line(state: tuple[str, str, str], sent: Velocity, *, in_control: bool, speed: float) -> str:
    """Mode, source and reason as the controller says them, with their names; then what this keyboard asks for."""
    mode, source, reason = state
    robot = f"mode {mode}, source {source}, reason {reason}" if source or reason else mode
    forward, left, turn = sent
    sideways = f" left {left:+.2f}" if left else ""
    mine = f"{forward:+.2f} m/s{sideways} {turn:+.2f} rad/s" if in_control else "hands off"
    return f"{robot} | you: {mine} | speed {speed:.0%}"


def farewell(*, in_control: bool, disarms: bool) -> str:
    """What becomes of the robot when the keyboard ends."""
    if not in_control:
        return "quit: this keyboard had no control, the robot goes on as before"
    return (
        "quit: disarming the robot that this keyboard drove" if disarms else "quit: control is handed back to autonomy"
    )
