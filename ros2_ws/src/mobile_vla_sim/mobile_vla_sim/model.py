"""A room as a MuJoCo model: the robot on three planar joints, everything else fixed or moved from outside."""

from __future__ import annotations

import dataclasses
import math

import mujoco
import numpy as np

from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.scene import BRICK_DEPTH, COLOUR_RGB, Block, Scene, Thing, Walker

ROBOT = "robot"
CAMERA = "camera"
OVERVIEW = "overview"
WALL_HEIGHT_M = 2.5
_WALL_HALF_M = 0.05
# Geom groups: 0 solid things that rays and cameras meet, 1 the robot's body, 2 drawn only, 3 drawn only from above
# (MuJoCo's default visibility leaves groups 3 to 5 out).
GROUP_SOLID, GROUP_ROBOT, GROUP_DRAWN, GROUP_OVERVIEW = 0, 1, 2, 3
# How fast the drive reaches the speed that the wheels ask for, as the time constant of a velocity servo.
_SERVO_S = 0.02
_GRAVITY_MPS2 = 9.81
# Kinds that stand on the floor as a mesh: corners of the base, width at the top.
_MESHES = {"cone": (24, 0.12), "pyramid": (4, 0.02)}


@dataclasses.dataclass(frozen=True)
class RoomModel:
    """The compiled model and the numbers that the world needs to drive it."""

    model: mujoco.MjModel
    robot_body: int
    robot_geoms: frozenset[int]
    walker_mocap: tuple[int, ...]
    geom_names: tuple[str, ...]


def build(scene: Scene, config: SimulatorConfig) -> RoomModel:
    """Compile `scene` with the robot that `config` describes."""
    spec = mujoco.MjSpec()
    spec.option.timestep = config.physics_step_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.compiler.autolimits = True
    _look(spec, scene, config)
    _room(spec, scene)
    for index, block in enumerate(scene.blocks):
        _block(spec, block, index)
    for index, thing in enumerate(scene.things):
        _thing(spec, thing, index)
    for index, walker in enumerate(scene.walkers):
        _walker(spec, walker, index)
    _robot(spec, scene, config)
    model = spec.compile()
    return _indexed(model, len(scene.walkers))


def _look(spec: mujoco.MjSpec, scene: Scene, config: SimulatorConfig) -> None:
    spec.visual.quality.shadowsize = 2048 if config.shadows else 0
    spec.visual.quality.offsamples = 0
    spec.visual.global_.offwidth = max(config.camera.width_px, 640)
    spec.visual.global_.offheight = max(config.camera.height_px, 480)
    spec.visual.map.znear = 0.005
    spec.visual.map.zfar = 10.0
    spec.stat.extent = max(scene.size_x_m, scene.size_y_m)
    spec.stat.center = [0.0, 0.0, 0.5]
    spec.visual.headlight.active = 1
    spec.visual.headlight.ambient = list(scene.style.ambient)
    spec.visual.headlight.diffuse = [0.12, 0.12, 0.12]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.add_texture(
        name="ceiling",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[0.72, 0.72, 0.70],
        width=8,
        height=8,
    )
    for name, image in (("floor", scene.style.floor), ("wall", scene.style.wall)):
        texture = spec.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1], height=image.shape[0], nchannel=3
        )
        texture.data = np.ascontiguousarray(image).tobytes()
    for name, repeat in (("floor", scene.style.floor_repeat_per_m), ("wall", scene.style.wall_repeat_per_m)):
        material = spec.add_material(
            name=name, texuniform=True, texrepeat=[repeat, repeat], specular=0.1, shininess=0.1
        )
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    spec.worldbody.add_light(
        pos=list(scene.style.light_position),
        dir=[0.0, 0.0, -1.0],
        diffuse=list(scene.style.light_diffuse),
        ambient=[0.0, 0.0, 0.0],
        specular=[0.05, 0.05, 0.05],
        cutoff=85.0,
        exponent=1.0,
        castshadow=config.shadows,
    )
    # A weak light from the side so that the faces of a box differ.
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        dir=[0.55, 0.35, -0.75],
        diffuse=[0.22, 0.22, 0.22],
        ambient=[0.0, 0.0, 0.0],
        specular=[0.0, 0.0, 0.0],
        castshadow=False,
    )
    height = 1.35 * max(scene.size_x_m, scene.size_y_m)
    spec.worldbody.add_camera(name=OVERVIEW, pos=[0.0, 0.0, height], xyaxes=[1, 0, 0, 0, 1, 0], fovy=48.0)


def _room(spec: mujoco.MjSpec, scene: Scene) -> None:
    half_x, half_y = scene.size_x_m / 2.0, scene.size_y_m / 2.0
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[half_x + 0.2, half_y + 0.2, 0.1],
        material="floor",
        contype=0,
        conaffinity=0,
        group=GROUP_DRAWN,
    )
    for name, x, y, size_x, size_y in (
        ("wall east", half_x + _WALL_HALF_M, 0.0, _WALL_HALF_M, half_y + 2 * _WALL_HALF_M),
        ("wall west", -half_x - _WALL_HALF_M, 0.0, _WALL_HALF_M, half_y + 2 * _WALL_HALF_M),
        ("wall north", 0.0, half_y + _WALL_HALF_M, half_x + 2 * _WALL_HALF_M, _WALL_HALF_M),
        ("wall south", 0.0, -half_y - _WALL_HALF_M, half_x + 2 * _WALL_HALF_M, _WALL_HALF_M),
    ):
        spec.worldbody.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[x, y, WALL_HEIGHT_M / 2.0],
            size=[size_x, size_y, WALL_HEIGHT_M / 2.0],
            material="wall",
            group=GROUP_SOLID,
        )


def _block(spec: mujoco.MjSpec, block: Block, index: int) -> None:
    geom = spec.worldbody.add_geom(
        name=f"{'inner wall' if block.wall else 'crate'} {index}",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[block.x, block.y, block.height_m / 2.0],
        quat=_about_z(block.yaw),
        size=[block.half_x, block.half_y, block.height_m / 2.0],
        rgba=[*block.rgb, 1.0],
        group=GROUP_SOLID,
    )
    if block.wall:
        geom.material = "wall"
        geom.rgba = [1.0, 1.0, 1.0, 1.0]


def _thing(spec: mujoco.MjSpec, thing: Thing, index: int) -> None:
    radius, height, mesh = thing.radius_m, thing.height_m, f"{thing.kind} {index}"
    shape = {
        "ball": {"type": mujoco.mjtGeom.mjGEOM_SPHERE, "size": [radius, 0, 0]},
        "cube": {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [height / 2.0] * 3},
        "cylinder": {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [radius, height / 2.0, 0]},
        "egg": {"type": mujoco.mjtGeom.mjGEOM_ELLIPSOID, "size": [0.8 * radius, 0.8 * radius, height / 2.0]},
        "brick": {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [radius, BRICK_DEPTH * radius, height / 2.0]},
    }.get(thing.kind, {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": mesh})
    if thing.kind in _MESHES:
        spec.add_mesh(
            name=mesh,
            uservert=_cone(radius, height, *_MESHES[thing.kind]),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX,
        )
    spec.worldbody.add_geom(
        name=f"{thing.name} {index}",
        pos=[thing.x, thing.y, 0.0 if thing.kind in _MESHES else height / 2.0],
        quat=_about_z(thing.yaw),
        rgba=[*COLOUR_RGB[thing.colour], 1.0],
        group=GROUP_SOLID,
        **shape,
    )


def _walker(spec: mujoco.MjSpec, walker: Walker, index: int) -> None:
    x, y = walker.path[0]
    body = spec.worldbody.add_body(name=f"walker {index}", mocap=True, pos=[x, y, 0.0])
    trunk = walker.height_m - 0.26
    body.add_geom(
        name=f"person {index}",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0.0, 0.0, trunk / 2.0],
        size=[walker.radius_m, trunk / 2.0, 0.0],
        rgba=[*walker.rgb, 1.0],
        group=GROUP_SOLID,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        pos=[0.0, 0.0, walker.height_m - 0.13],
        size=[0.13, 0.0, 0.0],
        rgba=[0.80, 0.62, 0.50, 1.0],
        contype=0,
        conaffinity=0,
        group=GROUP_DRAWN,
    )


def _robot(spec: mujoco.MjSpec, scene: Scene, config: SimulatorConfig) -> None:
    base, camera = config.base, config.camera
    body = spec.worldbody.add_body(name=ROBOT, pos=[0.0, 0.0, 0.0])
    grip = base.friction * base.mass_kg * _GRAVITY_MPS2
    inertia = 0.5 * base.mass_kg * base.radius_m**2
    hinge, slide = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE
    for name, kind, axis, gain, limit in (
        ("x", slide, [1, 0, 0], base.mass_kg / _SERVO_S, grip),
        ("y", slide, [0, 1, 0], base.mass_kg / _SERVO_S, grip),
        ("yaw", hinge, [0, 0, 1], inertia / _SERVO_S, grip * base.wheel_separation_m / 2.0),
    ):
        body.add_joint(name=name, type=kind, axis=axis)
        actuator = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, forcerange=[-limit, limit]
        )
        actuator.set_to_velocity(gain)
    body.mass = base.mass_kg
    body.inertia = [inertia, inertia, inertia]
    body.ipos = [0.0, 0.0, base.height_m / 2.0]
    body.explicitinertial = True
    body.add_geom(
        name="chassis",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0.0, 0.0, 0.02 + base.height_m / 2.0],
        size=[base.radius_m, base.height_m / 2.0, 0.0],
        rgba=[0.16, 0.17, 0.20, 1.0],
        group=GROUP_ROBOT,
    )
    # A light stripe from the middle to the front, so that a picture from above shows where the robot looks.
    body.add_geom(
        name="nose",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[base.radius_m / 2.0, 0.0, 0.02 + base.height_m],
        size=[base.radius_m / 2.0, 0.02, 0.005],
        rgba=[0.95, 0.95, 0.95, 1.0],
        contype=0,
        conaffinity=0,
        mass=0.0,
        group=GROUP_OVERVIEW,
    )
    tilt = math.radians(camera.pitch_down_deg)
    body.add_camera(
        name=CAMERA,
        pos=[camera.mount_forward_m, 0.0, camera.mount_height_m],
        xyaxes=[0.0, -1.0, 0.0, math.sin(tilt), 0.0, math.cos(tilt)],
        fovy=camera.vertical_fov_deg,
    )


def _indexed(model: mujoco.MjModel, walkers: int) -> RoomModel:
    names = tuple(model.geom(index).name for index in range(model.ngeom))
    robot = model.body(ROBOT).id
    return RoomModel(
        model=model,
        robot_body=robot,
        robot_geoms=frozenset(index for index in range(model.ngeom) if model.geom_bodyid[index] == robot),
        walker_mocap=tuple(int(model.body(f"walker {index}").mocapid[0]) for index in range(walkers)),
        geom_names=names,
    )


def _about_z(yaw: float) -> list[float]:
    return [math.cos(yaw / 2.0), 0.0, 0.0, math.sin(yaw / 2.0)]


def _cone(radius: float, height: float, sides: int, top: float) -> list[float]:
    """Vertices of a cone that stands on the floor, blunt at the top as a road cone is; of a pyramid with four sides."""
    corners: list[float] = []
    for share, level in ((1.0, 0.0), (top, height)):
        for side in range(sides):
            angle = 2.0 * math.pi * side / sides
            corners += [share * radius * math.cos(angle), share * radius * math.sin(angle), level]
    return corners
