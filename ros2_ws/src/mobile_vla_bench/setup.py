"""Name, version, people and licence are read from package.xml; everything else is in setup.cfg."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import setup

package = ElementTree.parse(Path(__file__).with_name("package.xml")).getroot()
maintainer = package.find("maintainer")

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=package.findtext("description").strip(),
    license=package.findtext("license"),
    maintainer=maintainer.text,
    maintainer_email=maintainer.get("email"),
    url=package.findtext("url"),
    python_requires=">=3.10",  # here and not in setup.cfg, whose parsed form colcon cannot read
)
