"""Pictures of a room without a display: EGL first, OSMesa where EGL is missing.

One thread owns a renderer: an OpenGL context belongs to the thread that made it. Close it before the process ends.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Literal

import mujoco
import numpy as np
import numpy.typing as npt

from mobile_vla.errors import UserError
from mobile_vla_sim.model import GROUP_OVERVIEW, OVERVIEW

Image = npt.NDArray[np.uint8]
Backend = Literal["egl", "osmesa"]
_PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6"
_MAX_GEOMS = 500
_FONT_SCALE = 50


class Renderer:
    """Draws models through their named cameras. The context outlives a model, so that a new room costs milliseconds."""

    def __init__(self, gl: str, width_px: int, height_px: int) -> None:
        self.backend = choose_backend(gl)
        self._width_px, self._height_px = width_px, height_px
        self._gl: Any = _new_context(self.backend, max(width_px, 640), max(height_px, 480))
        self._gl.make_current()
        self._model: mujoco.MjModel | None = None
        self._context: mujoco.MjrContext | None = None
        self._scene: mujoco.MjvScene | None = None
        self._option = mujoco.MjvOption()

    def use(self, model: mujoco.MjModel) -> None:
        """Draw `model` from now on."""
        if model is self._model:
            return
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        self._context = mujoco.MjrContext(model, _FONT_SCALE)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, _MAX_GEOMS)
        self._model = model

    def rgb(self, data: mujoco.MjData, camera: str, width_px: int = 0, height_px: int = 0) -> Image:
        """An RGB picture, row 0 at the top; the configured size unless another that is not larger is asked for."""
        image = np.empty((height_px or self._height_px, width_px or self._width_px, 3), np.uint8)
        self._draw(data, camera, image, None)
        return image[::-1]

    def geoms(self, data: mujoco.MjData, camera: str, width_px: int, height_px: int) -> npt.NDArray[np.int32]:
        """Which geom is seen in every pixel, -1 for none; row 0 at the top."""
        image = np.empty((height_px, width_px, 3), np.uint8)
        assert self._scene is not None
        flags = self._scene.flags.copy()
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        try:
            self._draw(data, camera, image, None)
        finally:
            self._scene.flags[:] = flags
        number = image[::-1].astype(np.int32) @ np.array((1, 1 << 8, 1 << 16), np.int32)
        geom_of = np.full(self._scene.ngeom + 1, -1, np.int32)
        for drawn in self._scene.geoms[: self._scene.ngeom]:
            if drawn.segid >= 0 and drawn.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geom_of[drawn.segid + 1] = drawn.objid
        return geom_of[number]

    def depth(self, data: mujoco.MjData, camera: str) -> npt.NDArray[np.float32]:
        """Metres along the optical axis for every pixel; the far plane (10 room sizes away) where nothing is drawn."""
        raw = np.empty((self._height_px, self._width_px), np.float32)
        self._draw(data, camera, None, raw)
        assert self._model is not None
        near = self._model.vis.map.znear * self._model.stat.extent
        far = self._model.vis.map.zfar * self._model.stat.extent
        metres = near * far / (near + raw[::-1].astype(np.float64) * (far - near))
        return np.asarray(metres, np.float32)

    def close(self) -> None:
        """Give the context back. Calling it twice is harmless."""
        if self._gl is None:
            return
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        self._context = self._scene = self._model = None
        self._gl.free()
        self._gl = None

    def _draw(
        self, data: mujoco.MjData, camera: str, image: Image | None, depth: npt.NDArray[np.float32] | None
    ) -> None:
        if self._gl is None or self._model is None or self._context is None or self._scene is None:
            raise RuntimeError("the renderer is closed or has no model; call use() first")
        self._gl.make_current()
        self._option.geomgroup[GROUP_OVERVIEW] = camera == OVERVIEW
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        height, width = (image if image is not None else depth).shape[:2]  # type: ignore[union-attr]
        area = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(area, self._scene, self._context)
        mujoco.mjr_readPixels(image, depth, area, self._context)


def choose_backend(gl: str) -> Backend:
    """The OpenGL to draw with: `egl`, `osmesa`, or the first of them that works for `auto`."""
    # PyOpenGL binds to one of them when it is imported, for the life of the process.
    bound = os.environ.get("PYOPENGL_PLATFORM", "") if "OpenGL" in sys.modules else ""
    if gl != "osmesa" and bound in ("", "egl") and egl_works():
        return "egl"
    if gl != "egl" and bound in ("", "osmesa") and osmesa_works():
        return "osmesa"
    wanted = {"egl": "EGL", "osmesa": "OSMesa"}.get(gl, "neither EGL nor OSMesa")
    verb = "works" if gl == "auto" else "does not work"
    raise UserError(
        f"no camera image can be drawn because {wanted} {verb} on this machine; install the packages {_PACKAGES} "
        "and start again"
    )


def egl_works() -> bool:
    """Whether an EGL device can be opened here. Asked through the C library: PyOpenGL cannot change its mind later."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    addresses = [egl.eglGetProcAddress(name) for name in (b"eglQueryDevicesEXT", b"eglGetPlatformDisplayEXT")]
    if not all(addresses):
        return False
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(addresses[0])
    display_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(addresses[1])
    devices, count = (ctypes.c_void_p * 16)(), ctypes.c_int(0)
    if not query(16, ctypes.addressof(devices), ctypes.byref(count)):
        return False
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    platform_device = 0x313F
    return any(
        bool(display) and bool(egl.eglInitialize(display, None, None))
        for display in (display_of(platform_device, devices[index], None) for index in range(count.value))
    )


def osmesa_works() -> bool:
    """Whether the OSMesa library is here."""
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _new_context(backend: Backend, width_px: int, height_px: int) -> Any:
    # Mesa's software rasteriser in the calling thread: a third less CPU time per picture than with helper threads.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if "OpenGL" not in sys.modules:
        os.environ["PYOPENGL_PLATFORM"] = backend
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        return GLContext(width_px, height_px)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{backend} is installed but gives no OpenGL context ({error}); install the packages {_PACKAGES} "
            "and start again"
        ) from error
