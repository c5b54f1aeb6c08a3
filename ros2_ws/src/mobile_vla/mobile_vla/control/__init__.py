"""The command path: pure, typed, clock injected. Imports the standard library and `mobile_vla.config`, nothing else."""

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import NS_PER_S, Now, one_instant, steady_ns
from mobile_vla.control.command import Ages, Command, Outcome
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.config_teleop import RELEASED
from mobile_vla.control.decode import OffPlane
from mobile_vla.control.gate import Gate
from mobile_vla.control.latch import Latched
from mobile_vla.control.modes import MEANING, REASONS, Mode
from mobile_vla.control.scan_sides import ScanGeometry
from mobile_vla.control.stop_devices import Pressed

__all__ = [
    "MEANING",
    "NS_PER_S",
    "REASONS",
    "RELEASED",
    "STILL",
    "Ages",
    "Command",
    "ControllerConfig",
    "Gate",
    "Latched",
    "Mode",
    "Now",
    "OffPlane",
    "Outcome",
    "Pressed",
    "ScanGeometry",
    "Velocity",
    "one_instant",
    "steady_ns",
]
